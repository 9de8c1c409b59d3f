"""The towers' features of one clip, computed once for all ablations that look at the same pictures and sound."""

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
    """What towers answered, by content of what they were given; `clear` it for the next clip."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}

    def clear(self) -> None:
        self._answers.clear()

    def remembering(self, forward: Callable[..., Any], *, name: str) -> Callable[..., Any]:
        """`forward` of the tower `name`, run once for each input."""

        def remembered(*inputs: Any, **options: Any) -> Any:
            key = _key(name, *inputs, *(part for item in sorted(options.items()) for part in item))
            if key not in self._answers:
                self._answers[key] = forward(*inputs, **options)
            return self._answers[key]

        return remembered


def tower_modules(model: MicroEmoForConditionalGeneration) -> dict[str, nn.Module]:
    """The model's towers by name."""
    found = {name: getattr(model.model, name, None) for name in TOWERS}
    return {name: tower for name, tower in found.items() if tower is not None}


@contextmanager
def remembered_towers(model: MicroEmoForConditionalGeneration) -> Iterator[TowerCache]:
    """Has the towers of `model`, and of what shares them, answer from a cache inside the block."""
    cache, towers = TowerCache(), tower_modules(model)
    for name, tower in towers.items():
        tower.forward = cache.remembering(tower.forward, name=name)
    try:
        yield cache
    finally:
        for tower in towers.values():
            del tower.forward  # the class's own is there again


def _key(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
