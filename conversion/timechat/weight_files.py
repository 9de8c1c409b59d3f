"""Lazily loaded tensors of checkpoint files. Pickled code is never executed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

# Type names of safetensors.
SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
# In the lookup order of transformers.
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True)
class StoredTensor:
    """Description of a tensor in a file; `load` reads it."""

    file: Path
    shape: tuple[int, ...]
    load: Callable[[], torch.Tensor]
    dtype: torch.dtype


def read_weights(path: Path, *, prefix: str = "") -> dict[str, StoredTensor]:
    """Returns the tensors of a .pth, .bin or .safetensors file or of a model's folder, by `prefix` + key."""
    if path.is_dir():
        files = folder_files(path)
    elif path.is_file():
        files = (path,)
    else:
        raise FileNotFoundError(f"no such file or folder: {path}")
    stored: dict[str, StoredTensor] = {}
    for file in files:
        tensors = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
        stored.update({prefix + key: tensor for key, tensor in tensors.items()})
    return stored


def folder_files(folder: Path) -> tuple[Path, ...]:
    """Returns the weight files of a model's folder, including all shards."""
    entry = next((folder / name for name in FOLDER_FILES if (folder / name).is_file()), None)
    if entry is None:
        raise FileNotFoundError(f"{folder} has no weights; looked for {', '.join(FOLDER_FILES)}")
    if entry.suffix != ".json":
        return (entry,)
    shards = sorted(set(json.loads(entry.read_text(encoding="utf-8"))["weight_map"].values()))
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder} lacks the shards {missing} that {entry.name} names")
    return tuple(folder / name for name in shards)


def _read_safetensors(file: Path) -> dict[str, StoredTensor]:
    with safe_open(file, framework="pt") as tensors:
        return {
            key: _stored_tensor(
                file, key, shape=tensors.get_slice(key).get_shape(), dtype=tensors.get_slice(key).get_dtype()
            )
            for key in tensors.keys()  # noqa: SIM118  # not a dict
        }


def _stored_tensor(file: Path, key: str, *, shape: list[int], dtype: str) -> StoredTensor:
    if dtype not in SAFETENSORS_DTYPES:
        raise ValueError(f"{file}: {key} has the type {dtype}, allowed are {', '.join(SAFETENSORS_DTYPES)}")
    return StoredTensor(file, tuple(shape), partial(_load_safetensor, file, key), SAFETENSORS_DTYPES[dtype])


def _load_safetensor(file: Path, key: str) -> torch.Tensor:
    with safe_open(file, framework="pt") as tensors:
        return tensors.get_tensor(key)


def _read_torch(file: Path) -> dict[str, StoredTensor]:
    checkpoint = _load_torch(file)
    state_dict = checkpoint.get("model", checkpoint) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(state_dict, dict) or not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
        raise ValueError(f"{file} must hold a state dict, at the top level or under the key 'model'")
    return {
        key: StoredTensor(file, tuple(value.shape), partial(_identity, value.detach()), value.dtype)
        for key, value in state_dict.items()
    }


def _load_torch(file: Path) -> Any:
    """Memory-maps the file, so that tensors are read when used. Files from before torch 1.6 are read completely."""
    try:
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used with files saved with" not in str(error):
                raise
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{file} holds more than tensors and plain values; reading it could execute arbitrary code: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _identity(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
