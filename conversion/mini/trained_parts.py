"""Reads the trained weights of a checkpoint folder and applies them to a model.

A checkpoint folder has safetensors files in any precision, each with full weights under the model's state dict names
or with a LoRA (see `lora_files`), and `training_record.json`:

trained_parts       the trained outputs: "face_tower", "micro_dynamics", "voice_head", "emotion_head", "explanations"
reading_settings    reading settings of the training clips; optional
files               sha256 of files by name; the entry of a part may have its `file` and `sha256` instead
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import microemo.checkpoints
from microemo.conversion.mini.lora_files import Lora, is_lora, read_lora
from microemo.data.package_weights import file_sha256

RECORD = "training_record.json"
# A checkpoint must have every weight under the prefix of a trained part. Explanations have no prefix of their own.
PART_PREFIXES = {
    "face_tower": "model.face_tower.",
    "micro_dynamics": "model.micro_dynamics.",
    "voice_head": "model.voice_head.",
    "emotion_head": "model.emotion_head.",
}


@dataclass(frozen=True)
class TrainedCheckpoint:
    """Trained weights by file name. files: sha256; state_dicts: full weights; loras: LoRA factors."""

    trained_parts: tuple[str, ...] = ()
    reading_settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    state_dicts: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    loras: Mapping[str, Lora] = field(default_factory=dict)

    @property
    def state_dict(self) -> dict[str, torch.Tensor]:
        """The full weights of all files."""
        return {key: value for weights in self.state_dicts.values() for key, value in weights.items()}


def mini_checkpoint_folder() -> Path:
    """Returns the folder of the trained weights of microemo-mini."""
    return Path(microemo.checkpoints.__path__[0]) / "microemo-mini"


def checkpoint_files(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file that `read_checkpoint` reads; empty if there are none."""
    paths = [*folder.glob("*.safetensors"), folder / RECORD]
    return {path.name: file_sha256(path) for path in sorted(paths) if path.is_file()}


def read_checkpoint(folder: Path) -> TrainedCheckpoint:
    """Reads all weights of `folder`.

    Raises:
        ValueError: two files have the same weight, a LoRA is incomplete, or the record is missing, lists no parts or
            was written for other weights.
    """
    files = checkpoint_files(folder)
    names = [name for name in files if name != RECORD]
    if not names:
        return TrainedCheckpoint(files=files)
    loras = {name: read_lora(folder / name) for name in names if is_lora(_keys(folder / name))}
    state_dicts = {name: load_file(folder / name) for name in names if name not in loras}
    _check_no_duplicates(folder, state_dicts=state_dicts, loras=loras)
    record = _read_record(folder / RECORD, files=files)
    return TrainedCheckpoint(
        trained_parts=tuple(record["trained_parts"]),
        reading_settings=record.get("reading_settings", {}),
        files=files,
        state_dicts=state_dicts,
        loras=loras,
    )


def apply_checkpoint(model: nn.Module, *, checkpoint: TrainedCheckpoint) -> None:
    """Copies the checkpoint's weights into `model` and merges its LoRAs, in place.

    Raises:
        ValueError: a weight is unknown to the model or of another shape, or a weight of a trained part is missing.
            The model is then unchanged.
    """
    model_weights = model.state_dict()
    shapes = {key: tuple(value.shape) for key, value in model_weights.items()}
    for file, weights in checkpoint.state_dicts.items():
        for key, value in weights.items():
            _check_fits(key, shape=tuple(value.shape), shapes=shapes, file=file)
    for file, lora in checkpoint.loras.items():
        for module in lora.factors:
            _check_fits(f"{module}.weight", shape=lora.shape(module), shapes=shapes, file=file)
    state_dict = checkpoint.state_dict
    for part in checkpoint.trained_parts:
        prefix = PART_PREFIXES.get(part)
        missing = [key for key in model_weights if prefix and key.startswith(prefix) and key not in state_dict]
        if missing:
            raise ValueError(f"{part} is listed in trained_parts, but the checkpoint lacks {missing[0]}")
    with torch.no_grad():
        for key, value in state_dict.items():
            model_weights[key].copy_(value)
        for lora in checkpoint.loras.values():
            for module in lora.factors:
                weight = model_weights[f"{module}.weight"]
                weight.copy_(lora.merged(module, weight=weight))


def _keys(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _check_no_duplicates(
    folder: Path, *, state_dicts: Mapping[str, Mapping[str, torch.Tensor]], loras: Mapping[str, Lora]
) -> None:
    file_keys = {file: list(weights) for file, weights in state_dicts.items()}
    file_keys |= {file: [f"{module}.weight" for module in lora.factors] for file, lora in loras.items()}
    file_of_key: dict[str, str] = {}
    for file, keys in file_keys.items():
        for key in keys:
            if key in file_of_key:
                raise ValueError(f"{folder / file} and {file_of_key[key]} of the checkpoint both have {key}")
            file_of_key[key] = file


def _check_fits(key: str, *, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]], file: str) -> None:
    if key not in shapes:
        raise ValueError(f"{file} of the checkpoint has {key}, which the model does not have")
    if shape != shapes[key]:
        raise ValueError(f"{key} has shape {shape} in {file} of the checkpoint, {shapes[key]} in the model")


def _read_record(path: Path, *, files: Mapping[str, str]) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing: weights without a training record are not used")
    record = json.loads(path.read_text(encoding="utf-8"))
    parts = record.get("trained_parts")
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"{path} must list trained_parts, got {parts!r}")
    entries = [record.get(part, {}) for part in parts]
    hashes = {entry["file"]: entry["sha256"] for entry in entries if "sha256" in entry} | record.get("files", {})
    for name, sha256 in hashes.items():
        if name not in files:
            raise ValueError(f"{path} was written for a {name}, which is missing beside it")
        if files[name] != sha256:
            raise ValueError(f"{path} was written for another {name}: its sha256 differs")
    return record
