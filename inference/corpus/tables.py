"""Tables of clips as files and frames: the clips as they are, and flat tables with a row an utterance or event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from microemo.inference.atomic_file import replaced_file
from microemo.inference.corpus.rows import report_row
from microemo.inference.corpus.schema import CLIPS
from microemo.inference.report.report import EmotionReport

if TYPE_CHECKING:
    import pandas

ENDING = ".parquet"
GROUP_ROWS = 512  # clips that are held in memory at once, and a row group of the file
JOB_KEY = b"microemo.job"  # of the file's metadata: what its rows were made from
STRONGEST = {"emotion": "emotions", "expression": "expressions"}  # column of a flat table -> list, strongest first


def clips_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of `rows.py` as a table with the columns of `CLIPS`."""
    return pa.Table.from_pylist(list(rows), schema=CLIPS)


def utterances_table(clips: pa.Table) -> pa.Table:
    """A row for each utterance: the clip's id and path, its number from 1, strongest emotion and expression, and all
    fields of `UtteranceReport`.
    """
    flat = _exploded(clips, "utterances", number="utterance")
    for place, (name, column) in enumerate(STRONGEST.items(), start=3):
        flat = flat.add_column(place, name, _first_labels(flat[column]))
    return flat


def events_table(clips: pa.Table) -> pa.Table:
    """A row for each event of a face: the clip's id and path, its number from 1, and all fields of `EventRow`."""
    return _exploded(clips, "events", number="event")


FLAT_TABLES: dict[str, Callable[[pa.Table], pa.Table]] = {"utterances": utterances_table, "events": events_table}
ROWS = ("clips", *FLAT_TABLES)


def report_table(reports: Sequence[EmotionReport] | EmotionReport, *, rows: str = "utterances") -> pandas.DataFrame:
    """Reports as a pandas frame; `id` is a report's place among them, from 0.

    Args:
        rows: "utterances" and "events" give one row each, "clips" one row a report with both nested in it.

    Raises:
        ValueError: `rows` is none of these.
    """
    if rows not in ROWS:
        raise ValueError(f"rows must be one of {', '.join(ROWS)}, got {rows!r}")
    reports = (reports,) if isinstance(reports, EmotionReport) else reports
    table = clips_table(report_row(report, clip_id=place, path=report.source) for place, report in enumerate(reports))
    return (table if rows == "clips" else FLAT_TABLES[rows](table)).to_pandas()


@contextmanager
def clips_file(path: Path, *, job: Mapping[str, Any]) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends to a new file of clips, which appears when the block ends well.

    Args:
        job: what the rows were made from, in terms of JSON; `read_job` gives it back.
    """
    schema = CLIPS.with_metadata({JOB_KEY: json.dumps(job, sort_keys=True).encode()})
    with replaced_file(path) as draft, pq.ParquetWriter(draft, schema) as writer:
        yield lambda table: writer.write_table(table, row_group_size=GROUP_ROWS)


def read_job(path: Path) -> dict[str, Any]:
    """What the rows of a file of clips were made from; raises `ValueError` where it is no such file."""
    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is no table of clips: {error}") from error
    job = (schema.metadata or {}).get(JOB_KEY)
    if job is None or not schema.equals(CLIPS):
        raise ValueError(f"{path} is no table of clips of this version: its columns are {', '.join(schema.names)}")
    return json.loads(job)


def read_clips(path: Path, *, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yields the table, or some of its columns, in pieces of at most `GROUP_ROWS` clips."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=GROUP_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def flat_path(path: Path, name: str) -> Path:
    """Where the flat table `name` of the clips at `path` stands: clips.parquet -> clips.utterances.parquet."""
    return path.with_name(f"{path.name.removesuffix(ENDING)}.{name}{ENDING}")


def write_flat_tables(path: Path) -> tuple[Path, ...]:
    """Writes the flat tables of the clips at `path` beside it. Returns their paths."""
    written = []
    for name, flatten in FLAT_TABLES.items():
        schema = flatten(CLIPS.empty_table()).schema
        with replaced_file(flat_path(path, name)) as draft, pq.ParquetWriter(draft, schema) as writer:
            for clips in read_clips(path):
                writer.write_table(flatten(clips))
        written.append(flat_path(path, name))
    return tuple(written)


def _exploded(clips: pa.Table, column: str, *, number: str) -> pa.Table:
    """A row for each entry of a list of structs, whose fields become columns."""
    lists = clips[column].combine_chunks()
    parents = pc.list_parent_indices(lists)
    entries = pc.list_flatten(lists)
    flat = pa.Table.from_struct_array(entries) if len(entries) else pa.schema(lists.type.value_type).empty_table()
    numbers = _counted(parents.to_pylist())
    for place, (name, values) in enumerate(
        (("id", clips["id"].take(parents)), ("path", clips["path"].take(parents)), (number, numbers))
    ):
        flat = flat.add_column(place, pa.field(name, values.type, nullable=False), values)
    return flat


def _counted(parents: Sequence[int]) -> pa.Array:
    """1, 2, 3 ... for each run of equal values."""
    counts: dict[int, int] = {}
    numbers = []
    for parent in parents:
        counts[parent] = counts.get(parent, 0) + 1
        numbers.append(counts[parent])
    return pa.array(numbers, pa.int64())


def _first_labels(labels: pa.ChunkedArray) -> pa.Array:
    """The first label of each list; null where there is none."""
    return pa.array([entry[0]["label"] if entry else None for entry in labels.to_pylist()], pa.string())
