"""The weights that this project trained: read from `checkpoints/`, laid strictly over a model.

A checkpoint folder holds safetensors files under the model's own key names, and `training_record.json`, whose
`trained_parts` lists what has been trained ("face_tower", "micro_dynamics", "emotion_head", "explanations"). Where the
record has an entry of that name with a `file` and its `sha256`, the weights must be those.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

import microemo.checkpoints
from microemo.conversion.package_weights import file_sha256

RECORD = "training_record.json"
# A part that counts as trained must bring every weight under its prefix. Explanations are spread over many parts.
PART_PREFIXES = {
    "face_tower": "model.face_tower.",
    "micro_dynamics": "model.micro_dynamics.",
    "emotion_head": "model.emotion_head.",
}


@dataclass(frozen=True)
class TrainedCheckpoint:
    """`files` maps each file's name to its sha256."""

    trained_parts: tuple[str, ...]
    files: dict[str, str]
    state_dict: dict[str, torch.Tensor]


def mini_checkpoint_folder() -> Path:
    """Returns the folder of microemo-mini's own weights."""
    return Path(microemo.checkpoints.__path__[0]) / "microemo-mini"


def checkpoint_files(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file that `read_checkpoint` would read; empty where nothing is trained yet."""
    paths = [*folder.glob("*.safetensors"), folder / RECORD]
    return {path.name: file_sha256(path) for path in sorted(paths) if path.is_file()}


def read_checkpoint(folder: Path) -> TrainedCheckpoint:
    """Reads all weights of `folder`.

    Raises `ValueError` when two files hold one key, or the record is missing beside weights, lists no parts, or was
    written for other weights.
    """
    files = checkpoint_files(folder)
    state_dict: dict[str, torch.Tensor] = {}
    for name in files:
        if name == RECORD:
            continue
        weights = load_file(folder / name)
        if twice := sorted(state_dict.keys() & weights.keys()):
            raise ValueError(f"{folder / name} holds {twice[0]}, which another file of the checkpoint holds too")
        state_dict.update(weights)
    if not state_dict:
        return TrainedCheckpoint(trained_parts=(), files=files, state_dict={})
    parts = _recorded_parts(folder / RECORD, files=files)
    return TrainedCheckpoint(trained_parts=parts, files=files, state_dict=state_dict)


def lay_over(model: nn.Module, *, checkpoint: TrainedCheckpoint) -> None:
    """Copies the checkpoint's weights into `model`.

    Raises `ValueError` for a key that the model does not have, another shape, or a trained part with weights missing.
    """
    own = model.state_dict()
    for key, value in checkpoint.state_dict.items():
        if key not in own:
            raise ValueError(f"the checkpoint holds {key}, which the model does not have")
        if value.shape != own[key].shape:
            raise ValueError(f"{key} has shape {tuple(value.shape)} in the checkpoint, {tuple(own[key].shape)} here")
    for part in checkpoint.trained_parts:
        prefix = PART_PREFIXES.get(part)
        missing = [key for key in own if prefix and key.startswith(prefix) and key not in checkpoint.state_dict]
        if missing:
            raise ValueError(f"{part} counts as trained, but the checkpoint lacks {missing[0]}")
    with torch.no_grad():
        for key, value in checkpoint.state_dict.items():
            own[key].copy_(value)


def _recorded_parts(path: Path, *, files: dict[str, str]) -> tuple[str, ...]:
    if not path.is_file():
        raise ValueError(f"{path} is missing: weights without a record of their training are not used")
    record = json.loads(path.read_text(encoding="utf-8"))
    parts = record.get("trained_parts")
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"{path} must list trained_parts, got {parts!r}")
    for part in parts:
        entry = record.get(part, {})
        if "sha256" in entry and files.get(entry["file"]) != entry["sha256"]:
            raise ValueError(f"{path} was written for another {entry['file']}: its sha256 differs")
    return tuple(parts)
