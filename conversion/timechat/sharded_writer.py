"""Writes tensors as safetensors shards with the memory of one shard; an interrupted run resumes.

conversion_progress.json             fingerprint of the inputs, and the checksums of every finished shard
model-00001-of-00003.safetensors     written under a temporary name and renamed
model.safetensors.index.json         written last
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

PROGRESS_FILE = "conversion_progress.json"
INDEX_FILE = "model.safetensors.index.json"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Shard:
    """The tensors of one file, in the order of the model."""

    file_name: str
    keys: tuple[str, ...]
    num_bytes: int


def plan_shards(num_bytes: Mapping[str, int], *, max_bytes: int) -> tuple[Shard, ...]:
    """Distributes tensors to shards; a tensor larger than `max_bytes` gets its own shard."""
    if max_bytes <= 0:
        raise ValueError(f"max_bytes ({max_bytes}) must be > 0")
    groups: list[list[str]] = [[]]
    filled = 0
    for key, size in num_bytes.items():
        if groups[-1] and filled + size > max_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(key)
        filled += size
    return tuple(
        Shard(_shard_name(number, len(groups)), tuple(keys), sum(num_bytes[key] for key in keys))
        for number, keys in enumerate(groups, start=1)
    )


def _shard_name(number: int, total: int) -> str:
    return "model.safetensors" if total == 1 else f"model-{number:05d}-of-{total:05d}.safetensors"


def write_shards(
    folder: Path,
    *,
    shards: Sequence[Shard],
    tensor_of: Callable[[str], torch.Tensor],
    fingerprint: str,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Writes the missing shards and returns the `tensor_checksum` of every tensor.

    Args:
        folder: Folder to write; finished shards of an earlier run with the same fingerprint are kept.
        shards: The shards to write.
        tensor_of: Returns a tensor by name.
        fingerprint: Of all inputs of the tensors.
        progress: Called with a stage, shards done and their total.
    """
    done = read_progress(folder, fingerprint=fingerprint)
    for number, shard in enumerate(shards):
        if progress is not None:
            progress("writing", number, len(shards))
        if not _is_done(folder, shard, done=done):
            done[shard.file_name] = _write_shard(folder, shard, tensor_of=tensor_of)
            write_json(folder / PROGRESS_FILE, {"fingerprint": fingerprint, "done": done})
    if progress is not None:
        progress("writing", len(shards), len(shards))
    if len(shards) > 1:
        weight_map = {key: shard.file_name for shard in shards for key in shard.keys}
        total = sum(shard.num_bytes for shard in shards)
        write_json(folder / INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map})
    return {key: checksum for shard in shards for key, checksum in done[shard.file_name].items()}


def tensor_checksum(tensor: torch.Tensor) -> int:
    """Returns the CRC-32 of a tensor's bytes."""
    return zlib.crc32(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file atomically."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def read_progress(folder: Path, *, fingerprint: str) -> dict[str, dict[str, int]]:
    """Returns the checksums of the finished shards; empty for another fingerprint."""
    path = folder / PROGRESS_FILE
    if not path.is_file():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    return record["done"] if record["fingerprint"] == fingerprint else {}


def _write_shard(folder: Path, shard: Shard, *, tensor_of: Callable[[str], torch.Tensor]) -> dict[str, int]:
    tensors = {key: tensor_of(key).contiguous() for key in shard.keys}
    partial = folder / f".{shard.file_name}.partial"
    save_file(tensors, partial, metadata={"format": "pt"})
    with partial.open("rb") as file:
        os.fsync(file.fileno())  # the content must be on disk before the rename
    os.replace(partial, folder / shard.file_name)
    return {key: tensor_checksum(tensor) for key, tensor in tensors.items()}


def _is_done(folder: Path, shard: Shard, *, done: Mapping[str, Mapping[str, int]]) -> bool:
    path = folder / shard.file_name
    return list(done.get(shard.file_name, ())) == list(shard.keys) and path.is_file()
