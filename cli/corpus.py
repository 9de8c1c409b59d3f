"""`microemo corpus`: many clips, on one machine or on many, each exactly once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from microemo.cli.main import EXIT_OK
from microemo.cli.progress_bars import ProgressBars

DESCRIPTION = """\
A corpus is a manifest, the list of its clips, and a table with a row for each of them: a report, or an error with
what failed. Whatever is stopped goes on with the clips that are missing when the same command is called again.
"""
EPILOG = """\
examples:
  microemo corpus manifest videos/ --out clips.parquet
      lists all video and sound files, with an id of their bytes, transcripts beside them, and durations

  microemo analyze --manifest clips.parquet --shard 3/16 --out part-03.parquet
      a shard: on any machine, as an array job of a scheduler

  microemo corpus merge clips.parquet part-*.parquet --out corpus.parquet
      checks that every clip is there once, and writes corpus.parquet, corpus.utterances.parquet and
      corpus.events.parquet

exit codes:
  0 done, clips with errors are rows   1 a failure   2 wrong usage or unusable input   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    manifest = steps.add_parser("manifest", help="list the clips of a folder")
    manifest.add_argument("folder", type=Path, metavar="DIR", help="searched with all folders below it")
    merge = steps.add_parser("merge", help="one table of the tables of all shards")
    merge.add_argument("manifest", type=Path, metavar="MANIFEST", help="the list of all clips")
    merge.add_argument("parts", nargs="+", type=Path, metavar="PART", help="tables of the shards, in any order")
    for step in (manifest, merge):
        step.add_argument("--out", required=True, type=Path, metavar="FILE", help="the table, .parquet")
        step.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Does the step; returns the exit code."""
    return {"manifest": _write_manifest, "merge": _merge}[arguments.step](arguments)


def _write_manifest(arguments: argparse.Namespace) -> int:
    from microemo.inference.corpus.manifest import scan_folder

    _check_ending(arguments.out)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        manifest = scan_folder(arguments.folder, progress=progress)
    manifest.write(arguments.out)
    print(f"wrote {arguments.out}: {len(manifest)} clips", file=sys.stderr)
    return EXIT_OK


def _merge(arguments: argparse.Namespace) -> int:
    from microemo.inference.corpus.manifest import Manifest
    from microemo.inference.corpus.merging import merge_parts

    _check_ending(arguments.out)
    outcome = merge_parts(Manifest.read(arguments.manifest), arguments.parts, out=arguments.out)
    print(f"wrote {arguments.out}: {outcome.clips} clips, {outcome.errors} of them errors", file=sys.stderr)
    return EXIT_OK


def _check_ending(out: Path) -> None:
    if out.suffix != ".parquet":
        raise ValueError(f"--out must end in .parquet, got {out}")
