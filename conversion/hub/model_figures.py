"""Evaluation figures of a model, read from its training record."""

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
    """One measured value and the command that reproduces it."""

    task: str
    dataset: str
    metric: str
    value: float
    command: str

    def __post_init__(self) -> None:
        for name in ("task", "dataset", "metric", "command"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"a figure's {name} must be a non-empty text, got {text!r}")
        is_number = isinstance(self.value, (int, float)) and not isinstance(self.value, bool)
        if not is_number or not math.isfinite(self.value):
            raise ValueError(f"the value of the figure {self.metric!r} must be a finite number, got {self.value!r}")


@dataclass(frozen=True)
class TrainingRecord:
    """Entries of a training record that a card uses: figures, and the Hub ids of data sets (`datasets`)."""

    figures: tuple[Figure, ...] = ()
    datasets: tuple[str, ...] = ()


def read_training_record(path: Path) -> TrainingRecord:
    """Reads the figures of a `training_record.json`.

    Figures are lists named `figures` in the record or in one of its parts; their entries have task, dataset, metric,
    value and command. The cross-validation of the face tower is converted to figures. Objects named `figures`, which
    hold the numbers of a fit, are ignored.

    Raises:
        ValueError: an entry is incomplete or invalid.
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
    """Figures of the face tower, whose record has no list of figures."""
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
