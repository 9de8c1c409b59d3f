"""Manually labelled segments of real video: the expression of a face from start to end."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from microemo.data.still_faces import EXPRESSIONS

LABEL_FILES = ("labels.csv", "labels_extra.csv")
SOURCES_FILE = "sources.csv"
NO_LICENCE = "none declared"
COLUMNS = ("file", "person", "start_seconds", "end_seconds", "expression", "talking")


@dataclass(frozen=True)
class LabelledSegment:
    """A segment of a clip. is_licensed: whether its source declares a licence; weights trained on others must not be
    published."""

    file: str
    person: str
    start_seconds: float
    end_seconds: float
    expression: str
    is_talking: bool
    is_licensed: bool

    def __post_init__(self) -> None:
        if self.end_seconds <= self.start_seconds:
            raise ValueError(
                f"{self.file}: end_seconds ({self.end_seconds}) must be > start_seconds ({self.start_seconds})"
            )
        if self.expression not in EXPRESSIONS:
            raise ValueError(f"{self.file}: expression must be one of {EXPRESSIONS}, got {self.expression!r}")

    @property
    def label(self) -> int:
        """Index of the expression."""
        return EXPRESSIONS.index(self.expression)


def read_segments(folder: str | Path) -> tuple[LabelledSegment, ...]:
    """Reads the segments of `folder`/labels.csv (and labels_extra.csv), without those labelled "mixed".

    Raises `ValueError` if labels.csv or a column is missing, or a row is invalid.
    """
    folder = Path(folder)
    if not (folder / LABEL_FILES[0]).is_file():
        raise ValueError(f"folder must hold {LABEL_FILES[0]}, but {folder / LABEL_FILES[0]} does not exist")
    licences = {row["file"]: row["licence"] for row in _rows(folder / SOURCES_FILE, columns=("file", "licence"))}
    return tuple(
        LabelledSegment(
            file=row["file"],
            person=row["person"],
            start_seconds=_seconds(row, "start_seconds", path=folder / name),
            end_seconds=_seconds(row, "end_seconds", path=folder / name),
            expression=row["expression"],
            is_talking=row["talking"] == "yes",
            is_licensed=licences.get(row["file"], NO_LICENCE) != NO_LICENCE,
        )
        for name in LABEL_FILES
        if (folder / name).is_file()
        for row in _rows(folder / name, columns=COLUMNS)
        if row["expression"] != "mixed"
    )


def _seconds(row: dict[str, str], column: str, *, path: Path) -> float:
    try:
        return float(row[column])
    except (TypeError, ValueError):
        raise ValueError(f"{path}: {column} of {row['file']} must be seconds, got {row[column]!r}") from None


def _rows(path: Path, *, columns: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the columns {sorted(missing)}, it has {reader.fieldnames}")
        return list(reader)
