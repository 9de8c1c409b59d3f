"""Tensors of checkpoints on disk, by name and shape, read one at a time and never by unpickling code."""

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

# Types by the names that safetensors gives them.
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
# In the order in which transformers looks for them.
FOLDER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that has not been read yet."""

    file: Path
    shape: tuple[int, ...]
    load: Callable[[], torch.Tensor]
    dtype: torch.dtype


def read_weights(path: Path, *, prefix: str = "") -> dict[str, StoredTensor]:
    """Returns the tensors of a .pth, .bin or .safetensors file, or of a model's folder, by `prefix` and their key."""
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
    """Returns the weight files of a model's folder, all shards of it."""
    found = next((folder / name for name in FOLDER_FILES if (folder / name).is_file()), None)
    if found is None:
        raise FileNotFoundError(f"{folder} has no weights; looked for {', '.join(FOLDER_FILES)}")
    if found.suffix != ".json":
        return (found,)
    shards = sorted(set(json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()))
    lost = [name for name in shards if not (folder / name).is_file()]
    if lost:
        raise FileNotFoundError(f"{folder} lacks the shards {lost} that {found.name} names")
    return tuple(folder / name for name in shards)


def _read_safetensors(file: Path) -> dict[str, StoredTensor]:
    with safe_open(file, framework="pt") as tensors:
        return {
            key: _described(
                file, key, shape=tensors.get_slice(key).get_shape(), dtype=tensors.get_slice(key).get_dtype()
            )
            for key in tensors.keys()  # noqa: SIM118  # not a dict
        }


def _described(file: Path, key: str, *, shape: list[int], dtype: str) -> StoredTensor:
    if dtype not in SAFETENSORS_DTYPES:
        raise ValueError(f"{file}: {key} has the type {dtype}, which is none of {', '.join(SAFETENSORS_DTYPES)}")
    return StoredTensor(file, tuple(shape), partial(_load_safetensor, file, key), SAFETENSORS_DTYPES[dtype])


def _load_safetensor(file: Path, key: str) -> torch.Tensor:
    with safe_open(file, framework="pt") as tensors:
        return tensors.get_tensor(key)


def _read_torch(file: Path) -> dict[str, StoredTensor]:
    checkpoint = _load_torch(file)
    state_dict = checkpoint.get("model", checkpoint) if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(state_dict, dict) or not all(isinstance(value, torch.Tensor) for value in state_dict.values()):
        raise ValueError(f"{file} holds no state dict: tensors by name, by themselves or under the key 'model'")
    return {
        key: StoredTensor(file, tuple(value.shape), partial(_given, value.detach()), value.dtype)
        for key, value in state_dict.items()
    }


def _load_torch(file: Path) -> Any:
    """Maps the file into memory, so that a tensor is read when it is used; files from before torch 1.6 come whole."""
    try:
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used with files saved with" not in str(error):
                raise
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{file} holds more than tensors and plain values, and reading that could run code of its author: "
            f"{str(error).splitlines()[0]}"
        ) from error


def _given(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
