"""Tables as transcripts: TSV as whisper writes it, CSV with any of the usual marks between cells."""

from __future__ import annotations

import csv
import io

from .transcript_clock import read_time
from .transcript_entries import DURATION_NAMES, END_NAMES, START_NAMES, EntryList, read_entry

BARE_COLUMNS = {3: ["start", "end", "text"], 4: ["start", "end", "speaker", "text"]}  # of tables without a header


def table_entries(text: str, *, name: str, formats: str) -> EntryList:
    """Returns the entries of a table, with a header or with start and end in the first two columns.

    Raises `ValueError`, which names the allowed `formats`, for a text that is no such table.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    delimiter = max("\t;,|", key=lambda mark: min(line.count(mark) for line in lines[:20]))
    try:
        rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    except csv.Error as error:  # such as a cell without end, after a quote that nothing closes
        raise ValueError(f"{name} is a table that cannot be read: {error}") from None
    header = [cell.strip().lower() for cell in rows[0]]
    if set(header) & set(START_NAMES):
        body = rows[1:]
        if not set(header) & {*END_NAMES, *DURATION_NAMES}:
            raise ValueError(f"{name} is a table without a column of ends: {lines[0][:60]!r}; allowed: {formats}")
    elif len(header) >= 2 and read_time(header[0]) is not None and read_time(header[1]) is not None:
        header, body = BARE_COLUMNS.get(len(header), BARE_COLUMNS[3]), rows
    else:
        raise ValueError(f"{name} is no transcript of a known format, it begins {lines[0][:60]!r}; allowed: {formats}")
    if delimiter not in text or any(len(row) < 2 for row in body):
        raise ValueError(f"{name} is a table in which not every row has start and end: {lines[0][:60]!r}")
    dicts = [dict(zip(header, _joined(row, len(header), delimiter), strict=False)) for row in body]
    entries = [entry for row in dicts if (entry := read_entry(row)) is not None]
    return EntryList(entries, name=name, unit="milliseconds" if "start_ms" in header else None)


def _joined(row: list[str], width: int, delimiter: str) -> list[str]:
    """Returns a row whose surplus cells, a text with unquoted delimiters, are one cell again."""
    return row if len(row) <= width else [*row[: width - 1], delimiter.join(row[width - 1 :])]
