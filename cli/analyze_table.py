"""`microemo analyze` into a table: files or a shard of a manifest, each clip a row, whatever happens to it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from microemo.cli.analysis_arguments import analyzer_loader, corpus_settings
from microemo.cli.main import EXIT_OK
from microemo.cli.progress_bars import ProgressBars

if TYPE_CHECKING:
    from microemo.inference.corpus.manifest import Manifest

TABLE_ENDING = ".parquet"


def makes_table(arguments: argparse.Namespace) -> bool:
    """Whether the output is a table of clips."""
    return arguments.manifest is not None or (arguments.out is not None and arguments.out.suffix == TABLE_ENDING)


def table_problem(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the arguments, in words for the user; None where nothing is."""
    if (arguments.manifest is None) == (not arguments.videos):
        return "clips are either VIDEOs or those of a --manifest; give one of them"
    if arguments.out is None or arguments.out.suffix != TABLE_ENDING:
        return f"--manifest needs --out with a name that ends in {TABLE_ENDING}, got {arguments.out}"
    refused = {"--json": arguments.json, "--resume": arguments.resume, "--fps": arguments.fps is not None}
    if given := [name for name, value in refused.items() if value]:
        return f"{given[0]} does not go with a table; --out {arguments.out} keeps every row, and goes on after a stop"
    if arguments.transcript and arguments.manifest is not None:
        return "--transcript belongs to one VIDEO; a manifest names the transcripts of its clips"
    if arguments.shard is not None and arguments.manifest is None:
        return "--shard cuts a --manifest"
    named = [arguments.manifest] if arguments.manifest is not None else [Path(video) for video in arguments.videos]
    if missing := [str(path) for path in named if not path.is_file()]:
        return f"a table is made of files on this machine; no such file: {', '.join(missing)}"
    if arguments.time_limit is not None and not arguments.time_limit > 0:
        return f"--time-limit must be > 0, got {arguments.time_limit:g}"
    return None


def run(arguments: argparse.Namespace) -> int:
    """Writes the table; returns the exit code, which is 0 when every clip has its row, of a report or of an error."""
    from microemo.inference.corpus.clip_analyst import ClipAnalyst
    from microemo.inference.corpus.shards import Shard, run_shard, shard_job
    from microemo.inference.corpus.tables import write_flat_tables

    shard = Shard() if arguments.shard is None else Shard.parse(arguments.shard)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        manifest = _manifest(arguments, progress)
        with ClipAnalyst(
            analyzer_loader(arguments), settings=corpus_settings(arguments), time_limit=arguments.time_limit
        ) as analyst:
            outcome = run_shard(
                manifest.shard(shard.index, count=shard.count),
                out=arguments.out,
                job=shard_job(manifest.digest(), provenance=analyst.provenance, shard=shard),
                analyze=analyst.analyze,
                progress=progress,
            )
    # A shard is for `microemo corpus merge`, which writes the flat tables of all.
    written = [arguments.out, *(write_flat_tables(arguments.out) if arguments.shard is None else ())]
    print(f"{outcome.clips} clips, {outcome.errors} of them errors", file=sys.stderr)
    for path in written:
        print(f"wrote {path}", file=sys.stderr)
    return EXIT_OK


def _manifest(arguments: argparse.Namespace, progress: ProgressBars) -> Manifest:
    from microemo.inference.corpus.manifest import Manifest, describe_files

    if arguments.manifest is not None:
        return Manifest.read(arguments.manifest)
    entries = describe_files([Path(video).absolute() for video in arguments.videos], progress=progress)
    if arguments.transcript:
        entries = [replace(entries[0], transcript=str(Path(arguments.transcript).absolute()))]
    return Manifest.of_entries(entries)
