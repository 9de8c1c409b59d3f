"""The folder of a training run: model, trained weights and training record. Writes and reads them.

A run may start from the model of an earlier run; `training_stages` follows this chain back to microemo-mini.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.mini.assembled_folder import MANIFEST
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.trained_parts import RECORD, TrainedCheckpoint, read_checkpoint
from microemo.data.example import Example
from microemo.training.parameter_groups import part_of
from microemo.training.recipe import Recipe

MODEL_FOLDER, ADAPTER_FOLDER, WEIGHTS_FOLDER = "model", "adapter", "weights"
WEIGHTS_FILE, LORA_FILE = "weights.safetensors", "language_model_lora.safetensors"
COPIED_FOLDERS = ("speech_recognition", "face_landmarks", "speaker_embedding")  # from the starting model
RECORDED_PACKAGES = ("microemo", "torch", "transformers", "peft", "datasets", "numpy")
REQUIRED_ENTRIES = ("recipe", "seed", "data", "curves", "trained_parts", "reading_settings", "base_checkpoint")


@dataclass(frozen=True)
class TrainingStage:
    """A finished run: its folder, its record and its trained weights."""

    folder: Path
    record: dict[str, Any]
    checkpoint: TrainedCheckpoint


def save_model_folder(model: PreTrainedModel, *, processor: MicroEmoProcessor, folder: Path, origin: Path) -> None:
    """Saves a model without adapters in a folder for `from_pretrained` and the analyzer.

    Args:
        origin: the starting model's folder; its speech recognizer, landmark and speaker networks are copied.
    """
    model.save_pretrained(folder)
    # With a tied language head, the models of the other objectives have all weights of the generating model.
    if model.config.text_config.tie_word_embeddings:
        _rename_architecture(folder / "config.json")
    processor.save_pretrained(folder)
    for name in ("generation_config.json", *COPIED_FOLDERS):
        source, target = origin / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file() and not target.exists():
            shutil.copy2(source, target)


def save_trained_weights(
    state_dict: Mapping[str, torch.Tensor],
    *,
    folder: Path,
    parts: Sequence[str],
    lora: Lora | None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Writes the weights of `parts` under the model's state dict names, and the LoRA to a file of its own.

    With its record the folder is a checkpoint for `apply_checkpoint` (see `trained_parts`).

    Args:
        state_dict: of the model without adapters.
        lora: None removes the file of an earlier run.
        dtype: of the written floating-point weights; integers such as batch norm counters keep their type.
    """
    weights = {name: stored(value, dtype=dtype) for name, value in state_dict.items() if part_of(name) in parts}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    if lora is None:
        (folder / LORA_FILE).unlink(missing_ok=True)
    else:
        write_lora(folder / LORA_FILE, lora=lora, dtype=dtype)


def stored(value: torch.Tensor, *, dtype: torch.dtype) -> torch.Tensor:
    """Returns a contiguous CPU copy of a tensor; floating-point tensors are cast to `dtype`."""
    value = value.detach().cpu().contiguous()
    return value.to(dtype) if value.is_floating_point() else value


def write_record(
    folder: Path,
    *,
    recipe: Recipe,
    trained_parts: Sequence[str],
    base_checkpoint: Mapping[str, str] | None,
    reading_settings: Mapping[str, Any],
    data: Mapping[str, str],
    curves: Sequence[Mapping[str, Any]],
) -> None:
    """Writes `training_record.json`: recipe, seed, reading settings, hashes of the data, curves and versions.

    Args:
        base_checkpoint: see `checkpoint_hashes`.
    """
    record = {
        "trained_parts": list(trained_parts),
        "recipe": asdict(recipe),
        "seed": recipe.training.get("seed", 42),
        "base_checkpoint": None if base_checkpoint is None else dict(base_checkpoint),
        "reading_settings": dict(reading_settings),
        "data": dict(data),
        "curves": [dict(entry) for entry in curves],
        "versions": {name: _version(name) for name in RECORDED_PACKAGES},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def training_stages(run: Path) -> tuple[TrainingStage, ...]:
    """The chain of runs up to `run`; the first one started from an assembled microemo-mini.

    Raises:
        ValueError: a run is not finished, or started from a model that is neither microemo-mini nor a run's.
    """
    stages = [_read_stage(run)]
    while stages[0].record["base_checkpoint"] is None:
        previous = _previous_run(stages[0])
        if any(previous.samefile(stage.folder) for stage in stages):
            raise ValueError(f"the records say that {previous} started from its own model")
        stages.insert(0, _read_stage(previous))
    return tuple(stages)


def is_finished(run: Path) -> bool:
    """Whether a run is complete: its record is written last."""
    return (run / WEIGHTS_FOLDER / RECORD).is_file()


def checkpoint_hashes(folder: Path) -> dict[str, str] | None:
    """SHA-256 of each trained file that microemo-mini was assembled from; None if the folder is another model."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    files = json.loads(manifest.read_text(encoding="utf-8"))["recipe"]["checkpoint"]
    return {name: sha256 for name, sha256 in files.items() if name != RECORD}


def examples_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of a table's labels, text and file names. Folders of the files are left out."""
    digest = hashlib.sha256()
    for row in rows:
        example = Example.from_row(row).to_row()
        for name in ("video", "audio", "faces", "transcript"):
            example[name] = Path(example[name]).name if example[name] else None
        digest.update(json.dumps(example, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _read_stage(run: Path) -> TrainingStage:
    path = run / WEIGHTS_FOLDER / RECORD
    if not is_finished(run):
        raise ValueError(f"{run} must be the folder of a finished run, but has no {WEIGHTS_FOLDER}/{RECORD}")
    record = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in REQUIRED_ENTRIES if name not in record]
    if missing:
        raise ValueError(f"{path} must have {', '.join(REQUIRED_ENTRIES)}, but lacks {', '.join(missing)}")
    return TrainingStage(run, record, read_checkpoint(path.parent))


def _previous_run(stage: TrainingStage) -> Path:
    """The run whose model a stage started from: at the recipe's path, or beside the stage if the runs were moved."""
    run = Path(stage.record["recipe"]["model"]["path"]).expanduser().parent
    for folder in (run, stage.folder.resolve().parent / run.name):
        if is_finished(folder):
            return folder
    raise ValueError(f"{stage.folder} started from {run}, which is neither microemo-mini nor a finished run")


def _rename_architecture(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["architectures"] = [MicroEmoForConditionalGeneration.__name__]
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
