"""The list of clips that a corpus consists of: a Parquet file with an id for each, made from the file's bytes.

The rows stand in the order of their ids. As ids are hashes, any run of rows is a fair sample of the corpus, so that
shards of equal length take about equally long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from microemo.data.readers.media_folders import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from microemo.inference.atomic_file import replaced_file
from microemo.inference.child_process import ChildProcess, ProcessDied, TimeLimit
from microemo.inference.cpu_threads import usable_cpus
from microemo.inference.job_log import job_digest
from microemo.inference.stage_timer import Progress
from microemo.processing.crop_cache import content_hash
from microemo.processing.media_index import MICROSECONDS, open_container

COLUMNS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        ("transcript", pa.string()),
        ("bytes", pa.int64()),
        ("duration_seconds", pa.float64()),
    ]
)
REQUIRED = tuple(field.name for field in COLUMNS if not field.nullable)
TRANSCRIPT_SUFFIXES = (".srt", ".vtt", ".ass", ".tsv", ".json")  # beside a clip, the first that is there
HASH_BITS = 63  # of the content hash: what a signed 64-bit integer holds
PROBE_SECONDS = 60.0  # for the header of a file
NAMED = 5  # files that an error names


@dataclass(frozen=True)
class ClipEntry:
    """One clip. transcript: its file; None has speech recognised. bytes, duration_seconds: None where not known."""

    id: int
    path: str
    transcript: str | None = None
    bytes: int | None = None
    duration_seconds: float | None = None


class Manifest:
    """Clips in the order of their ids.

    Raises `ValueError` where a column is missing or of another type, or an id stands there twice.
    """

    def __init__(self, table: pa.Table, *, name: str = "manifest") -> None:
        missing = [column for column in REQUIRED if column not in table.column_names]
        if missing:
            raise ValueError(f"{name} lacks the columns {missing}; it has {table.column_names}")
        for field in COLUMNS:
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        try:
            table = table.select(COLUMNS.names).cast(COLUMNS)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
            raise ValueError(f"{name} must have the columns {_described(COLUMNS)}: {error}") from error
        self.table = table.sort_by("id")
        _refuse_twins(self.table, name=name)

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """The manifest in a Parquet file; columns beside those of `COLUMNS` are left alone."""
        try:
            return cls(pq.read_table(path), name=str(path))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no Parquet file: {error}") from error

    @classmethod
    def of_entries(cls, entries: list[ClipEntry]) -> Manifest:
        """The manifest of these clips."""
        return cls(pa.Table.from_pylist([asdict(entry) for entry in entries], schema=COLUMNS))

    def write(self, path: str | Path) -> None:
        """Writes the Parquet file, whole or not at all."""
        with replaced_file(path) as draft:
            pq.write_table(self.table, draft)

    def shard(self, index: int, *, count: int) -> Manifest:
        """Part `index`, from 1, of `count` parts that differ in length by one clip at most."""
        if not 1 <= index <= count:
            raise ValueError(f"shard must be 1/{count} to {count}/{count}, got {index}/{count}")
        begin, end = ((number * len(self)) // count for number in (index - 1, index))
        return Manifest(self.table.slice(begin, end - begin))

    def entries(self) -> Iterator[ClipEntry]:
        """Yields the clips."""
        for batch in self.table.to_batches():
            yield from (ClipEntry(**row) for row in batch.to_pylist())

    def digest(self) -> str:
        """A hash of which clips these are: ids, paths and transcripts."""
        return job_digest([self.table[name].to_pylist() for name in ("id", "path", "transcript")])

    def __len__(self) -> int:
        return len(self.table)


def scan_folder(folder: str | Path, *, progress: Progress | None = None) -> Manifest:
    """The manifest of all video and sound files in and below `folder`.

    A sound file beside a video of the same name belongs to it and is no clip of its own; so does a transcript.

    Raises:
        ValueError: no such folder, no clip in it, or files with the same bytes.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    paths = _clips_in(folder)
    if not paths:
        raise ValueError(f"{folder} holds no file that ends in {', '.join((*VIDEO_SUFFIXES, *AUDIO_SUFFIXES))}")
    return Manifest.of_entries(describe_files(paths, with_transcripts=True, progress=progress))


def describe_files(
    paths: list[Path], *, with_transcripts: bool = False, progress: Progress | None = None
) -> list[ClipEntry]:
    """Each file's entry, with an id of its bytes and the duration that its header tells; a damaged file has none.

    Args:
        with_transcripts: takes what stands beside a file under its name as its transcript.
    """
    child = ChildProcess(_load_nothing, _tell_duration)  # a header may crash or stall its reader
    try:
        with ThreadPoolExecutor(max_workers=usable_cpus()) as pool:
            entries = []
            for path, clip_id in zip(paths, pool.map(clip_id_of, paths), strict=True):
                transcript = _transcript_of(path) if with_transcripts else None
                size, seconds = path.stat().st_size, _duration(path, child)
                entries.append(ClipEntry(clip_id, str(path), transcript, size, seconds))
                if progress is not None:
                    progress("files", len(entries), len(paths))
            return entries
    finally:
        child.stop()


def clip_id_of(path: Path) -> int:
    """A number in [0, 2**63) that depends on the file's bytes alone."""
    return int(content_hash(path), 16) >> (256 - HASH_BITS)


def _clips_in(folder: Path) -> list[Path]:
    files = [Path(root) / name for root, _, names in os.walk(folder, followlinks=True) for name in names]
    videos = sorted(path for path in files if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    beside = {path.with_suffix("") for path in videos}
    sounds = (path for path in files if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    return sorted([*videos, *(path for path in sounds if path.with_suffix("") not in beside)])


def _transcript_of(path: Path) -> str | None:
    beside = (path.with_suffix(suffix) for suffix in TRANSCRIPT_SUFFIXES)
    return next((str(candidate) for candidate in beside if candidate.is_file()), None)


def _duration(path: Path, child: ChildProcess) -> float | None:
    try:
        (seconds,) = child.run(path, max_seconds=PROBE_SECONDS)  # to its end, else the process is not used again
        return seconds
    except (ProcessDied, TimeLimit):
        return None


def _load_nothing() -> None:
    """Reading a header takes no model."""


def _tell_duration(path: Path, *, loaded: None, tell: Any) -> None:
    try:
        with open_container(path) as container:
            tell(container.duration / MICROSECONDS if container.duration else None)
    except (ValueError, OSError):
        tell(None)


def _refuse_twins(table: pa.Table, *, name: str) -> None:
    ids = table["id"].to_numpy()
    twins = ids[1:][ids[1:] == ids[:-1]]  # they are sorted
    if not len(twins):
        return
    rows = table.filter(pc.is_in(table["id"], pa.array(twins))).slice(0, NAMED)["path"].to_pylist()
    raise ValueError(
        f"{name} must have each id once, but {len(twins)} stand there again: files with the same bytes are "
        f"{', '.join(rows)}{' ...' if len(twins) >= NAMED else ''}"
    )


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
