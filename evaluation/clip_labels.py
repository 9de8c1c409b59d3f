"""Reads reference labels and predictions from files: CSV, JSON lines, and the `*-openset.npz` of MER2025.

Columns (or keys) are recognised by the names that the data sets use:

| content | names |
|---|---|
| clip | name, names, filename |
| open-vocabulary labels | openset, labels, emotions |
| free text, from which labels are extracted if there is no label column | reason, reasons, description, text |
| one closed-set label | discrete, emotion, emo |
| sentiment: a number, or positive, negative, neutral | sentiment, val |
| valence, arousal | valence, arousal |
"""

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from microemo.evaluation.metrics.label_extraction import extract_labels
from microemo.evaluation.metrics.label_parsing import parse_labels

NAME_COLUMNS = ("name", "names", "filename")
LABEL_COLUMNS = ("openset", "labels", "emotions")
TEXT_COLUMNS = ("reason", "reasons", "description", "text")
ANSWER_COLUMNS = ("answer", "prediction", "output", "text")
EMOTION_COLUMNS = ("discrete", "emotion", "emo")
SENTIMENT_COLUMNS = ("sentiment", "val")


@dataclass(frozen=True)
class ClipLabels:
    """The labels or predictions of one clip; None for what the file does not contain.

    Args:
        name: name of the clip.
        labels: open-vocabulary labels, possibly empty.
        emotion: closed-set label.
        sentiment: a number or the name of a sentiment.
        valence: in the unit of the file.
        arousal: in the unit of the file.
    """

    name: str
    labels: tuple[str, ...] | None = None
    emotion: str | None = None
    sentiment: str | float | None = None
    valence: float | None = None
    arousal: float | None = None


def read_clip_labels(
    path: str | Path, *, extract: Callable[[str], Iterable[str]] = extract_labels
) -> dict[str, ClipLabels]:
    """Returns clip name -> labels of a file, in the file's order.

    Args:
        path: a .csv, .jsonl or .npz file.
        extract: extracts labels from free text.
    """
    path = Path(path)
    clips: dict[str, ClipLabels] = {}
    for number, row in enumerate(read_rows(path), start=1):
        try:
            clip = _clip(row, extract=extract)
        except ValueError as error:
            raise ValueError(f"{path}, entry {number}: {error}") from error
        if clip.name in clips:
            raise ValueError(f"{path}, entry {number}: clip {clip.name!r} occurs more than once")
        clips[clip.name] = clip
    if not clips:
        raise ValueError(f"path ({path}) must hold at least one clip")
    return clips


def read_answers(path: str | Path) -> dict[str, str]:
    """Returns name of the question -> what a model answered, of a .csv or .jsonl file with an answer a row.

    The name stands in a column of `NAME_COLUMNS` or "id", the answer in one of `ANSWER_COLUMNS`.
    """
    answers: dict[str, str] = {}
    for number, row in enumerate(read_rows(Path(path)), start=1):
        name, text = _first(row, (*NAME_COLUMNS, "id")), _first(row, ANSWER_COLUMNS)
        if name in (None, "") or text is None:
            raise ValueError(
                f"{path}, entry {number} must have a name ({', '.join((*NAME_COLUMNS, 'id'))}) and an answer "
                f"({', '.join(ANSWER_COLUMNS)}), got {sorted(map(str, row))}"
            )
        if str(name) in answers:
            raise ValueError(f"{path}, entry {number}: {name!r} must be answered once only")
        answers[str(name)] = str(text)
    return answers


def read_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    """Returns the entries of a .csv, .jsonl or .npz file."""
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".npz": _npz_rows}
    if path.suffix.lower() not in readers:
        raise ValueError(f"path ({path}) must end in {', '.join(readers)}")
    if not path.is_file():
        raise ValueError(f"path ({path}) must be a file; there is none")
    return readers[path.suffix.lower()](path)


def _csv_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _json_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"{path}, line {number} must be a JSON object, got {type(row).__name__}")
            yield row


def _npz_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    """Yields the entries of MER2025's submissions. Pickled arrays are refused: they could run code."""
    with np.load(path, allow_pickle=False) as archive:
        absent = {"filenames", "fileitems"} - set(archive.files)
        if absent:
            raise ValueError(f"{path} must hold the arrays filenames and fileitems, got {archive.files}")
        try:
            names, items = archive["filenames"], archive["fileitems"]
        except ValueError as error:
            raise ValueError(f"{path} must hold arrays of text, not of pickled objects") from error
    if len(names) != len(items):
        raise ValueError(f"{path}: filenames ({len(names)}) and fileitems ({len(items)}) must be of one length")
    for name, item in zip(names.tolist(), items.tolist(), strict=True):
        yield {"name": name, "openset": item}


def _clip(row: Mapping[str, Any], *, extract: Callable[[str], Iterable[str]]) -> ClipLabels:
    name = _first(row, NAME_COLUMNS)
    if name in (None, ""):
        raise ValueError(f"one of {NAME_COLUMNS} must name the clip, got {sorted(map(str, row))}")
    column = _column(row, LABEL_COLUMNS)
    text = _first(row, TEXT_COLUMNS)
    labels = None
    if column is not None:
        labels = tuple(parse_labels(row[column]))
    elif text is not None:
        labels = tuple(extract(str(text)))
    emotion = _first(row, EMOTION_COLUMNS)
    return ClipLabels(
        name=str(name),
        labels=labels,
        emotion=None if emotion in (None, "") else str(emotion).lower().strip(),
        sentiment=_sentiment(_first(row, SENTIMENT_COLUMNS)),
        valence=_number(row, "valence"),
        arousal=_number(row, "arousal"),
    )


def _column(row: Mapping[str, Any], names: Iterable[str]) -> str | None:
    return next((name for name in names if name in row), None)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    column = _column(row, names)
    return None if column is None else row[column]


def _sentiment(cell: Any) -> str | float | None:
    if cell in (None, ""):
        return None
    try:
        return float(cell)
    except ValueError:
        return str(cell)


def _number(row: Mapping[str, Any], column: str) -> float | None:
    cell = row.get(column)
    if cell in (None, ""):
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{column} ({cell!r}) must be a number") from error
    return None if math.isnan(value) else value
