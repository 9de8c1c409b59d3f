"""One shard of a corpus: its clips one after the other into a table, going on after any stop where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from microemo.inference.corpus.manifest import ClipEntry, Manifest
from microemo.inference.corpus.schema import ERROR
from microemo.inference.corpus.tables import GROUP_ROWS, clips_file, clips_table, read_clips, read_job
from microemo.inference.job_log import JobLog, job_difference
from microemo.inference.stage_timer import Progress

JOURNAL_ENDING = ".journal.jsonl"
LOCK_ENDING = ".lock"
CLIPS_STAGE = "clips"


@dataclass(frozen=True)
class Shard:
    """Part `index`, from 1, of `count` parts of a manifest."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that "3/16" stands for."""
        index, slash, count = text.partition("/")
        if not (slash and index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
            raise ValueError(f"shard must be NUMBER/COUNT such as 3/16, got {text!r}")
        shard = cls(int(index), int(count))
        if not 1 <= shard.index <= shard.count:
            raise ValueError(f"shard must be from 1/{shard.count} to {shard.count}/{shard.count}, got {text!r}")
        return shard

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True)
class Outcome:
    """How many clips a table holds, and how many of them are errors."""

    clips: int
    errors: int


def shard_job(manifest_digest: str, *, provenance: Mapping[str, Any], shard: Shard) -> dict[str, Any]:
    """What a shard's rows depend on: a table or journal of another job is never continued."""
    return {**provenance, "manifest": manifest_digest, "shard": str(shard)}


def run_shard(
    clips: Manifest,
    *,
    out: str | Path,
    job: Mapping[str, Any],
    analyze: Callable[[ClipEntry], dict[str, Any]],
    progress: Progress | None = None,
) -> Outcome:
    """Analyses `clips` into the table `out`.

    Each row reaches the disk before the next clip begins, in a journal beside `out` that is gone when the table is
    there. Called again after a stop, kill -9 included, it analyses only the clips that are missing; when all is done,
    nothing.

    Args:
        clips: those of the shard.
        job: see `shard_job`.
        analyze: makes the row of a `ClipEntry`, such as `ClipAnalyst.analyze`.
        progress: called with (stage, done, total).

    Raises:
        ValueError: `out` or its journal belong to another job, or another process is at work on them.
    """
    out = Path(out)
    journal = out.with_name(out.name + JOURNAL_ENDING)
    lock = FileLock(out.with_name(f".{out.name}{LOCK_ENDING}"), timeout=0)
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with lock:
            if out.exists():
                _refuse_other(out, job=job)
            else:
                _fill_journal(clips, journal=journal, job=job, analyze=analyze, progress=progress)
                _write_table(journal, out=out, job=job)
            journal.unlink(missing_ok=True)
    except Timeout as error:
        raise ValueError(f"another process is at work on {out}") from error
    Path(lock.lock_file).unlink(missing_ok=True)  # whoever waits for it finds the table
    return count_outcome(out)


def count_outcome(path: Path) -> Outcome:
    """Of a table of clips."""
    clips = errors = 0
    for table in read_clips(path, columns=["status"]):
        clips += len(table)
        errors += table["status"].to_pylist().count(ERROR)
    return Outcome(clips, errors)


def _refuse_other(out: Path, *, job: Mapping[str, Any]) -> None:
    if changed := job_difference(read_job(out), job):
        raise ValueError(f"{out} is the table of another analysis, which differs in {changed}")


def _fill_journal(
    clips: Manifest,
    *,
    journal: Path,
    job: Mapping[str, Any],
    analyze: Callable[[ClipEntry], dict[str, Any]],
    progress: Progress | None,
) -> None:
    with JobLog(journal, job=job) as log:
        done = {row["id"] for row in log.read()}
        for number, entry in enumerate(clips.entries(), start=1):
            if entry.id not in done:
                log.append(analyze(entry))
            if progress is not None:
                progress(CLIPS_STAGE, number, len(clips))


def _write_table(journal: Path, *, out: Path, job: Mapping[str, Any]) -> None:
    with JobLog(journal, job=job) as log, clips_file(out, job=job) as append:
        for rows in _batches(log.read()):
            append(clips_table(rows))


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, GROUP_ROWS)):
        yield batch
