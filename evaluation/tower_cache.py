"""Caches the tower features of one clip, so that ablations with the same images and audio share them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from microemo import MicroEmoForConditionalGeneration

TOWERS = ("frame_tower", "face_tower", "audio_tower")


class TowerCache:
    """Tower outputs by content of the inputs. Call `clear` before the next clip."""

    def __init__(self) -> None:
        self._outputs: dict[str, Any] = {}

    def clear(self) -> None:
        self._outputs.clear()

    def wrap(self, forward: Callable[..., Any], *, name: str) -> Callable[..., Any]:
        """Returns the cached `forward` of the tower `name`."""

        def cached_forward(*inputs: Any, **options: Any) -> Any:
            key = _key(name, *inputs, *(part for item in sorted(options.items()) for part in item))
            if key not in self._outputs:
                self._outputs[key] = forward(*inputs, **options)
            return self._outputs[key]

        return cached_forward


def tower_modules(model: MicroEmoForConditionalGeneration) -> dict[str, nn.Module]:
    """Returns the model's towers by name."""
    towers = {name: getattr(model.model, name, None) for name in TOWERS}
    return {name: tower for name, tower in towers.items() if tower is not None}


@contextmanager
def cached_towers(model: MicroEmoForConditionalGeneration) -> Iterator[TowerCache]:
    """Context manager in which the towers of `model`, and of models that share them, use a cache."""
    cache, towers = TowerCache(), tower_modules(model)
    for name, tower in towers.items():
        tower.forward = cache.wrap(tower.forward, name=name)
    try:
        yield cache
    finally:
        for tower in towers.values():
            del tower.forward  # restores the method of the class


def _key(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
