"""Figures of a model's quality, read from its training record; nothing that is not written there becomes a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACE_TOWER_COMMAND = "python -m microemo.training.face_tower.train --stills DIR --out DIR"


@dataclass(frozen=True)
class Figure:
    """One measured value, and the command that measures it again. `task` and `metric` are in the field's words."""

    task: str
    dataset: str
    metric: str
    value: float
    command: str

    def __post_init__(self) -> None:
        for name in ("task", "dataset", "metric", "command"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"a figure's {name} must be a text that says something, got {text!r}")
        is_number = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not is_number or not math.isfinite(self.value):
            raise ValueError(f"the value of the figure {self.metric!r} must be a finite number, got {self.value!r}")


@dataclass(frozen=True)
class TrainingRecord:
    """What a card says of a training: figures, and the Hub ids of data sets (`datasets` in the record)."""

    figures: tuple[Figure, ...] = ()
    datasets: tuple[str, ...] = ()


def read_training_record(path: Path) -> TrainingRecord:
    """Returns the figures of a `training_record.json`.

    They stand in lists named `figures`, of the record itself or of one part, each entry with task, dataset, metric,
    value and command; and, for the face tower, as its cross-validation. An object of that name, the numbers of a fit,
    is no such list. Raises `ValueError` for an entry that lacks
    something or has something else.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold an object, got {type(record).__name__}")
    entries = list(record.get("figures", []))
    for part in record.values():
        if isinstance(part, dict) and isinstance(part.get("figures"), list):
            entries += part["figures"]
    figures = [_figure(entry, path=path) for entry in entries]
    figures += _cross_validation(record.get("face_tower"))
    return TrainingRecord(tuple(dict.fromkeys(figures)), tuple(record.get("datasets", ())))


def _figure(entry: Any, *, path: Path) -> Figure:
    names = {"task", "dataset", "metric", "value", "command"}
    if not isinstance(entry, dict) or not names <= entry.keys():
        raise ValueError(f"{path}: a figure must have {', '.join(sorted(names))}, got {entry!r}")
    return Figure(**{name: entry[name] for name in names})


def _cross_validation(face_tower: Any) -> list[Figure]:
    """The face tower's record is older than the lists of figures."""
    if not isinstance(face_tower, Mapping) or "cross_validation" not in face_tower or "figures" in face_tower:
        return []
    folds = face_tower["recipe"]["folds"]
    photographs = face_tower["data"]["photographs"]
    dataset = f"{photographs} labelled photographs, cross-validation in {folds} folds, no person in two"
    task = "facial expression recognition"
    return [
        Figure(task, dataset, metric, face_tower["cross_validation"][name], FACE_TOWER_COMMAND)
        for name, metric in (
            ("recall_among_five", "unweighted average recall, five classes"),
            ("recall_among_all", "unweighted average recall, five classes, all eight answers allowed"),
        )
    ]
