"""The cache of what a language model has read: its name in transformers, and one that is cheap to grow."""

import copy
from dataclasses import fields
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import BaseModelOutputWithPast

# Outputs, and the arguments of models and of `generate`, call it `cache` from transformers 5.24 on.
CACHE_NAME = "cache" if "cache" in {entry.name for entry in fields(BaseModelOutputWithPast)} else "past_key_values"
ROOM_TOKENS = 64


class RoomyLayer(DynamicLayer):
    """A layer of a cache that writes each token into room kept for it.

    `DynamicLayer` copies everything that was read before at each step; of a clip that is hundreds of tokens a row.
    """

    _room: tuple[torch.Tensor, torch.Tensor] | None = None
    _filled: torch.Tensor | None = None  # the keys as this layer left them; whoever replaces them has new room made

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *arguments: Any, **keywords: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Puts states (B, H, n, d) behind those that are there; returns all keys and values (B, H, N, d)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        begin = self.own_length()
        end = begin + key_states.shape[-2]
        if self._room is None or self.keys is not self._filled or end > self._room[0].shape[-2]:
            self._room = tuple(  # type: ignore[assignment]
                _with_room(old, new, length=end + ROOM_TOKENS)
                for old, new in ((self.keys, key_states), (self.values, value_states))
            )
        assert self._room is not None
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[..., begin:end, :] = new
        self.keys, self.values = (room[..., :end, :] for room in self._room)
        self._filled = self.keys
        return self.keys, self.values

    def own_length(self) -> int:
        """How many moments the keys of this layer hold."""
        return super().get_seq_length()


def repeated_cache(cache: Cache, *, rows: int) -> Cache:
    """A cache of its own that begins each of so many rows with what `cache` holds of one clip."""
    repeated = copy.deepcopy(cache)  # generation writes into it
    repeated.batch_repeat_interleave(rows)
    repeated.layers = [_roomy(layer) if type(layer) is DynamicLayer else layer for layer in repeated.layers]
    return repeated


def cache_bytes(cache: Cache) -> int:
    """What the keys and values of all layers take."""
    states = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    return sum(state.numel() * state.element_size() for state in states if state is not None)


def _roomy(layer: DynamicLayer) -> RoomyLayer:
    roomy = RoomyLayer()
    vars(roomy).update(vars(layer))
    return roomy


def _with_room(old: torch.Tensor, new: torch.Tensor, *, length: int) -> torch.Tensor:
    """A tensor as `new` with `length` moments, which begins with those of `old`; the others mean nothing."""
    room = new.new_empty(*new.shape[:-2], length, new.shape[-1])
    if old.numel():
        room[..., : old.shape[-2], :] = old
    return room
