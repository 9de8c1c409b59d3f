"""What frozen towers see is computed once: features kept on disk under a hash of the picture or sound.

On a CPU the towers cost most of a step, and they give the same features in every epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from microemo.placement import lay_out_for_cpu

KEY_BYTES = 16
TOWERS = ("frame_tower", "face_tower", "audio_tower")
STORED_DTYPE = np.float16


class FeatureStore:
    """Arrays of one shape under hashes, in files that only grow; several processes may write, each its own file.

    {writer}.keys holds the hashes, {writer}.features the arrays in the same order. What one process writes, another
    finds when it is opened the next time.

    Args:
        folder: of the arrays of one tower.
        writer: a name for this process among those that write at once.
    """

    def __init__(self, folder: Path, *, writer: str = "0") -> None:
        self.folder, self.writer = folder, writer
        folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[bytes, tuple[Path, int]] = {}
        for keys_file in sorted(folder.glob("*.keys")):
            keys = keys_file.read_bytes()
            for place in range(len(keys) // KEY_BYTES):
                key = keys[place * KEY_BYTES : (place + 1) * KEY_BYTES]
                self._places[key] = (keys_file.with_suffix(".features"), place)
        self._shape_file = folder / "shape.txt"
        self._own = folder / f"{writer}.features"
        own_keys = folder / f"{writer}.keys"
        self._written = own_keys.stat().st_size // KEY_BYTES if own_keys.is_file() else 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: bytes) -> np.ndarray:
        """The array of a key that is there."""
        path, place = self._places[key]
        shape = tuple(map(int, self._shape_file.read_text().split()))
        size = int(np.prod(shape))
        offset = place * size * STORED_DTYPE().itemsize
        return np.fromfile(path, STORED_DTYPE, count=size, offset=offset).reshape(shape)

    def add(self, key: bytes, array: np.ndarray) -> None:
        """Appends an array; the first one settles the shape of all."""
        if not self._shape_file.is_file():
            self._shape_file.write_text(" ".join(map(str, array.shape)))
        # A process that was stopped may have written an array without its key: write over it.
        offset = self._written * array.size * STORED_DTYPE().itemsize
        mode = "r+b" if self._own.is_file() else "wb"
        with self._own.open(mode) as file:
            file.seek(offset)
            file.write(array.astype(STORED_DTYPE).tobytes())
        with self._own.with_suffix(".keys").open("ab") as file:
            file.write(key)
        self._places[key] = (self._own, self._written)
        self._written += 1


def remember_towers(model: nn.Module, *, folder: Path, towers: Sequence[str] = TOWERS, writer: str = "0") -> None:
    """Lets the named towers of a model look up what they have seen before; the weights keep their names.

    Features are kept in float16, under a hash of the tower's weights too.

    Raises `ValueError` for a tower that is trained, whose features change with every step.
    """
    for name, tower in model.named_modules():
        short = name.rsplit(".", 1)[-1]
        if short in towers and isinstance(tower, PreTrainedModel):
            if any(parameter.requires_grad for parameter in tower.parameters()):
                raise ValueError(f"the features of {short} cannot be kept, as it is trained")
            lay_out_for_cpu(tower)
            store = FeatureStore(folder / f"{short}-{weights_hash(tower)}", writer=writer)
            # On the instance: a module around the tower would change the names of its weights.
            tower.forward = _remembering(tower.forward, store=store)


def weights_hash(module: nn.Module) -> str:
    """A short hash of a module's weights and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _remembering(forward: Callable[..., Any], *, store: FeatureStore) -> Callable[..., Any]:
    """The forward of a tower that computes only what the store does not have."""

    def remembered(inputs: torch.Tensor, return_dict: bool | None = None, **asked: Any) -> Any:
        if asked or len(inputs) == 0:  # attention maps, hidden states or a mask: not kept
            return forward(inputs, return_dict=return_dict, **asked)
        keys = [_key(entry) for entry in inputs]
        new = {key: place for place, key in enumerate(keys) if key not in store}
        if new:
            # What is kept serves every precision, so it is computed in the weights' own.
            with torch.no_grad(), torch.autocast(inputs.device.type, enabled=False):
                computed = forward(inputs[list(new.values())], return_dict=True).last_hidden_state
            for key, features in zip(new, computed, strict=True):
                store.add(key, features.detach().float().cpu().numpy())
        stacked = torch.from_numpy(np.stack([store.get(key) for key in keys]))
        return BaseModelOutput(last_hidden_state=stacked.to(device=inputs.device, dtype=inputs.dtype))

    return remembered


def _key(entry: torch.Tensor) -> bytes:
    plain = entry.detach().cpu().float().contiguous().numpy()
    return hashlib.blake2b(plain.tobytes(), digest_size=KEY_BYTES).digest()
