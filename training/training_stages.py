"""The runs that led to a model, each of which began with the model of the one before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from microemo.conversion.lora_files import Lora, stack_loras
from microemo.conversion.trained_parts import RECORD, TrainedCheckpoint, read_checkpoint
from microemo.training.trained_weights import MODEL_FOLDER, WEIGHTS_FOLDER

NEEDED_ENTRIES = ("recipe", "seed", "data", "curves", "trained_parts", "reading_settings", "begun_with")


@dataclass(frozen=True)
class TrainingStage:
    """A run as training left it: its folder, its record, and the weights that it kept."""

    folder: Path
    record: dict[str, Any]
    checkpoint: TrainedCheckpoint

    @property
    def continues_lora(self) -> bool:
        """Whether its LoRA is the one of the stages before, trained on, and not one beside it."""
        return (self.record["recipe"].get("lora") or {}).get("continues") is not None


def training_stages(run: Path) -> tuple[TrainingStage, ...]:
    """The stages up to `run`, the one that began with microemo-mini first.

    Raises `ValueError` where a run is not finished, or began with a model that is no run's.
    """
    return tuple(_stages(run, later=()).values())


def _stages(run: Path, *, later: tuple[Path, ...]) -> dict[Path, TrainingStage]:
    """The stages up to `run` by their folders: those of its model, those whose weights were laid over it, itself."""
    folder = run.resolve()
    if folder in later:
        raise ValueError(f"{run} began, by the records, with its own model")
    stage = _read_stage(run)
    stages: dict[Path, TrainingStage] = {}
    for before in _runs_before(stage):
        stages.update(_stages(before, later=(*later, folder)))
    return {**stages, folder: stage}


def kept_weights(built_on: TrainedCheckpoint, *, stages: Sequence[TrainingStage]) -> dict[str, torch.Tensor]:
    """The whole weights of a checkpoint and of the stages after it; of one that several trained, the last one's.

    A stage that began with the checkpoint keeps whole parts, of which it may have trained a half and another stage
    beside it the other: what is still the checkpoint's in the half precision of files is no weight of its own.
    """
    before = built_on.state_dict
    kept = dict(before)
    for stage in stages:
        began_with_it = stage.record["begun_with"] is not None
        for key, value in stage.checkpoint.state_dict.items():
            if not (began_with_it and key in before and torch.equal(value.half(), before[key].half())):
                kept[key] = value
    return kept


def kept_lora(built_on: TrainedCheckpoint, *, stages: Sequence[TrainingStage]) -> Lora | None:
    """What a checkpoint and the stages after it add to the language model, as one LoRA."""
    total: Lora | None = None
    for checkpoint, continues in [(built_on, False), *((stage.checkpoint, stage.continues_lora) for stage in stages)]:
        for lora in checkpoint.loras.values():
            total = lora if total is None or continues else stack_loras(total, second=lora)
    return total


def _read_stage(folder: Path) -> TrainingStage:
    weights = folder / WEIGHTS_FOLDER
    if not (weights / RECORD).is_file():
        raise ValueError(f"{folder} must be the folder of a finished run, but has no {WEIGHTS_FOLDER}/{RECORD}")
    record = json.loads((weights / RECORD).read_text(encoding="utf-8"))
    missing = [name for name in NEEDED_ENTRIES if name not in record]
    if missing:
        raise ValueError(f"{weights / RECORD} must tell {', '.join(NEEDED_ENTRIES)}, but lacks {', '.join(missing)}")
    return TrainingStage(folder, record, read_checkpoint(weights))


def _runs_before(stage: TrainingStage) -> list[Path]:
    """The runs whose model or weights the stage began with."""
    model = stage.record["recipe"]["model"]
    said = [] if stage.record["begun_with"] is not None else [Path(model["path"]) / WEIGHTS_FOLDER]
    said = [path.parent.parent / WEIGHTS_FOLDER if path.parent.name == MODEL_FOLDER else path for path in said]
    return [_run_of(path.expanduser(), stage=stage) for path in [*said, *map(Path, model.get("weights", ()))]]


def _run_of(weights: Path, *, stage: TrainingStage) -> Path:
    """The run that kept these weights: where the recipe says, or beside the stage if the runs were moved."""
    candidates = [weights.parent, stage.folder.parent / weights.parent.name]
    if weights.name == WEIGHTS_FOLDER:
        for folder in candidates:
            if (folder / WEIGHTS_FOLDER / RECORD).is_file():
                return folder
    raise ValueError(
        f"{stage.folder} began with {weights.parent}, which is neither microemo-mini nor a run that can be read: none "
        f"of {', '.join(map(str, candidates))} has {WEIGHTS_FOLDER}/{RECORD}"
    )
