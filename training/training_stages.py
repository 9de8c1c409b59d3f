"""The runs that led to a model, each of which began with the model of the one before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microemo.conversion.mini.trained_parts import RECORD, TrainedCheckpoint, read_checkpoint
from microemo.training.trained_weights import WEIGHTS_FOLDER

NEEDED_ENTRIES = ("recipe", "seed", "data", "curves", "trained_parts", "reading_settings", "begun_with")


@dataclass(frozen=True)
class TrainingStage:
    """A run as training left it: its folder, its record, and the weights that it kept."""

    folder: Path
    record: dict[str, Any]
    checkpoint: TrainedCheckpoint


def training_stages(run: Path) -> tuple[TrainingStage, ...]:
    """The stages up to `run`, the one that began with an assembled microemo-mini first.

    Raises `ValueError` where a run is not finished, or began with a model that is no run's.
    """
    stages = [_read_stage(run)]
    while stages[0].record["begun_with"] is None:
        before = _run_before(stages[0])
        if any(before.samefile(stage.folder) for stage in stages):
            raise ValueError(f"{before} began, by the records, with its own model")
        stages.insert(0, _read_stage(before))
    return tuple(stages)


def is_finished(run: Path) -> bool:
    """Whether a run has written all that it leaves behind: the record comes last."""
    return (run / WEIGHTS_FOLDER / RECORD).is_file()


def _read_stage(run: Path) -> TrainingStage:
    path = run / WEIGHTS_FOLDER / RECORD
    if not is_finished(run):
        raise ValueError(f"{run} must be the folder of a finished run, but has no {WEIGHTS_FOLDER}/{RECORD}")
    record = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in NEEDED_ENTRIES if name not in record]
    if missing:
        raise ValueError(f"{path} must tell {', '.join(NEEDED_ENTRIES)}, but lacks {', '.join(missing)}")
    return TrainingStage(run, record, read_checkpoint(path.parent))


def _run_before(stage: TrainingStage) -> Path:
    """The run whose model a stage began with: where the recipe says, or beside the stage if the runs were moved."""
    run = Path(stage.record["recipe"]["model"]["path"]).expanduser().parent
    for folder in (run, stage.folder.resolve().parent / run.name):
        if is_finished(folder):
            return folder
    raise ValueError(f"{stage.folder} began with {run}, which is neither microemo-mini nor a run that can be read")
