"""The weights that this project trained: read from `checkpoints/`, laid strictly over a model.

A checkpoint folder holds safetensors files in any precision, each with whole weights under the model's own key names
or with a LoRA (see `lora_files`), and `training_record.json`:

trained_parts       what has been trained: "face_tower", "micro_dynamics", "voice_head", "emotion_head",
                    "explanations"
reading_settings    how the clips were read that it learned from, if the record says so
files               sha256 of files by name; an entry of a part with its `file` and `sha256` says the same
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
# A part that counts as trained must bring every weight under its prefix. Explanations are spread over many parts.
PART_PREFIXES = {
    "face_tower": "model.face_tower.",
    "micro_dynamics": "model.micro_dynamics.",
    "voice_head": "model.voice_head.",
    "emotion_head": "model.emotion_head.",
}


@dataclass(frozen=True)
class TrainedCheckpoint:
    """`files` maps each file's name to its sha256; `state_dicts` and `loras` map it to what the file holds."""

    trained_parts: tuple[str, ...] = ()
    reading_settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    state_dicts: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    loras: Mapping[str, Lora] = field(default_factory=dict)

    @property
    def state_dict(self) -> dict[str, torch.Tensor]:
        """The whole weights of all files."""
        return {key: value for weights in self.state_dicts.values() for key, value in weights.items()}


def mini_checkpoint_folder() -> Path:
    """Returns the folder of microemo-mini's own weights."""
    return Path(microemo.checkpoints.__path__[0]) / "microemo-mini"


def checkpoint_files(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file that `read_checkpoint` would read; empty where nothing is trained yet."""
    paths = [*folder.glob("*.safetensors"), folder / RECORD]
    return {path.name: file_sha256(path) for path in sorted(paths) if path.is_file()}


def read_checkpoint(folder: Path) -> TrainedCheckpoint:
    """Reads all weights of `folder`.

    Raises `ValueError` when two files give one weight, a LoRA is not whole, or the record is missing beside weights,
    lists no parts, or was written for other weights.
    """
    files = checkpoint_files(folder)
    names = [name for name in files if name != RECORD]
    if not names:
        return TrainedCheckpoint(files=files)
    loras = {name: read_lora(folder / name) for name in names if is_lora(_keys(folder / name))}
    state_dicts = {name: load_file(folder / name) for name in names if name not in loras}
    _check_one_owner(folder, state_dicts=state_dicts, loras=loras)
    record = _read_record(folder / RECORD, files=files)
    return TrainedCheckpoint(
        trained_parts=tuple(record["trained_parts"]),
        reading_settings=record.get("reading_settings", {}),
        files=files,
        state_dicts=state_dicts,
        loras=loras,
    )


def lay_over(model: nn.Module, *, checkpoint: TrainedCheckpoint) -> None:
    """Copies the checkpoint's weights into `model`, and adds its LoRA to the weights that the model has.

    Raises `ValueError` for a key that the model does not have, another shape, or a trained part with weights missing;
    the model is then as it was.
    """
    own = model.state_dict()
    shapes = {key: tuple(value.shape) for key, value in own.items()}
    for file, weights in checkpoint.state_dicts.items():
        for key, value in weights.items():
            _check_fits(key, shape=tuple(value.shape), shapes=shapes, file=file)
    for file, lora in checkpoint.loras.items():
        for module in lora.factors:
            _check_fits(f"{module}.weight", shape=lora.shape(module), shapes=shapes, file=file)
    state_dict = checkpoint.state_dict
    for part in checkpoint.trained_parts:
        prefix = PART_PREFIXES.get(part)
        missing = [key for key in own if prefix and key.startswith(prefix) and key not in state_dict]
        if missing:
            raise ValueError(f"{part} counts as trained, but the checkpoint lacks {missing[0]}")
    with torch.no_grad():
        for key, value in state_dict.items():
            own[key].copy_(value)
        for lora in checkpoint.loras.values():
            for module in lora.factors:
                weight = own[f"{module}.weight"]
                weight.copy_(lora.merged(module, weight=weight))


def _keys(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _check_one_owner(
    folder: Path, *, state_dicts: Mapping[str, Mapping[str, torch.Tensor]], loras: Mapping[str, Lora]
) -> None:
    given = {file: list(weights) for file, weights in state_dicts.items()}
    given |= {file: [f"{module}.weight" for module in lora.factors] for file, lora in loras.items()}
    owners: dict[str, str] = {}
    for file, keys in given.items():
        for key in keys:
            if key in owners:
                raise ValueError(f"{folder / file} gives {key}, which {owners[key]} of the checkpoint gives too")
            owners[key] = file


def _check_fits(key: str, *, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]], file: str) -> None:
    if key not in shapes:
        raise ValueError(f"{file} of the checkpoint gives {key}, which the model does not have")
    if shape != shapes[key]:
        raise ValueError(f"{key} has shape {shape} in {file} of the checkpoint, {shapes[key]} here")


def _read_record(path: Path, *, files: Mapping[str, str]) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path} is missing: weights without a record of their training are not used")
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
