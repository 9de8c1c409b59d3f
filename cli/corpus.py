"""`microemo corpus`: many clips, on one machine or on many, each exactly once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from microemo.cli.analysis_arguments import (
    add_model_arguments,
    add_reading_arguments,
    add_time_limit,
    analyzer_loader,
    corpus_settings,
)
from microemo.cli.main import EXIT_OK
from microemo.cli.progress_bars import ProgressBars

if TYPE_CHECKING:
    from microemo.inference.corpus.shards import Outcome

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

  microemo corpus run clips.parquet --engine ray --address auto --out corpus/
      the same on a Ray cluster whose nodes all see the clips and corpus/; then the table is corpus/corpus.parquet

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
    _add_run(steps.add_parser("run", help="analyse all clips on a cluster"))
    merge = steps.add_parser("merge", help="one table of the tables of all shards")
    merge.add_argument("manifest", type=Path, metavar="MANIFEST", help="the list of all clips")
    merge.add_argument("parts", nargs="+", type=Path, metavar="PART", help="tables of the shards, in any order")
    for step in (manifest, merge):
        step.add_argument("--out", required=True, type=Path, metavar="FILE", help="the table, .parquet")
        step.add_argument("--quiet", action="store_true", help="no progress")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="the list of all clips")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a folder that all nodes see")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    cluster = parser.add_argument_group("the cluster")
    cluster.add_argument("--engine", choices=("ray",), default="ray", help="what runs the cluster; default: ray")
    cluster.add_argument(
        "--address", default="auto", help="auto (default): the cluster of this machine; local: start one here"
    )
    cluster.add_argument("--workers", type=int, metavar="N", help="models at work; default: as many as there is room")
    cluster.add_argument("--cpus", type=int, default=1, metavar="N", help="processors of each; default: 1")
    cluster.add_argument("--gpus", type=float, default=0, metavar="N", help="GPUs of each, such as 0.25; default: 0")
    cluster.add_argument(
        "--part-clips", type=int, default=64, metavar="N", help="clips that a worker takes at once; default: 64"
    )
    add_reading_arguments(parser.add_argument_group("what to read"))
    model = parser.add_argument_group("how to analyse")
    add_model_arguments(model)
    add_time_limit(model)


def run(arguments: argparse.Namespace) -> int:
    """Does the step; returns the exit code."""
    return {"manifest": _write_manifest, "run": _run_on_cluster, "merge": _merge}[arguments.step](arguments)


def _write_manifest(arguments: argparse.Namespace) -> int:
    from microemo.inference.corpus.manifest import scan_folder

    _check_ending(arguments.out)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        manifest = scan_folder(arguments.folder, progress=progress)
    manifest.write(arguments.out)
    print(f"wrote {arguments.out}: {len(manifest)} clips", file=sys.stderr)
    return EXIT_OK


def _run_on_cluster(arguments: argparse.Namespace) -> int:
    from microemo.inference.corpus.manifest import Manifest
    from microemo.inference.corpus.ray_engine import TABLE_FILE, RayPlan, run_on_ray

    plan = RayPlan(
        arguments.address, arguments.workers, cpus=arguments.cpus, gpus=arguments.gpus, part_clips=arguments.part_clips
    )
    with ProgressBars(enabled=not arguments.quiet) as progress:
        outcome = run_on_ray(
            Manifest.read(arguments.manifest),
            out=arguments.out,
            load_analyzer=analyzer_loader(arguments),
            settings=corpus_settings(arguments),
            plan=plan,
            time_limit=arguments.time_limit,
            progress=progress,
        )
    _tell(arguments.out / TABLE_FILE, outcome)
    return EXIT_OK


def _merge(arguments: argparse.Namespace) -> int:
    from microemo.inference.corpus.manifest import Manifest
    from microemo.inference.corpus.merging import merge_parts

    _check_ending(arguments.out)
    outcome = merge_parts(Manifest.read(arguments.manifest), arguments.parts, out=arguments.out)
    _tell(arguments.out, outcome)
    return EXIT_OK


def _tell(path: Path, outcome: Outcome) -> None:
    print(f"wrote {path}: {outcome.clips} clips, {outcome.errors} of them errors", file=sys.stderr)


def _check_ending(out: Path) -> None:
    if out.suffix != ".parquet":
        raise ValueError(f"--out must end in .parquet, got {out}")
