"""Key-value cache for generation: its argument name in transformers, and layers with preallocated memory."""

import copy
from dataclasses import fields
from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer
from transformers.modeling_outputs import BaseModelOutputWithPast

# Outputs, models and `generate` use the name `cache` from transformers 5.24 on.
CACHE_NAME = "cache" if "cache" in {entry.name for entry in fields(BaseModelOutputWithPast)} else "past_key_values"
PREALLOCATED_TOKENS = 64


class PreallocatedCacheLayer(DynamicLayer):
    """A cache layer that writes new tokens into preallocated buffers.

    `DynamicLayer` copies all keys and values at each step, which for a clip are hundreds of tokens per row.
    """

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None
    _last_keys: torch.Tensor | None = None  # the keys after the last update; replacing them invalidates the buffers

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *arguments: Any, **keywords: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends states (B, H, n, d) and returns all keys and values (B, H, N, d)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        begin = self.num_stored_tokens()
        end = begin + key_states.shape[-2]
        if self._buffers is None or self.keys is not self._last_keys or end > self._buffers[0].shape[-2]:
            self._buffers = tuple(  # type: ignore[assignment]
                _allocate(old, new, length=end + PREALLOCATED_TOKENS)
                for old, new in ((self.keys, key_states), (self.values, value_states))
            )
        assert self._buffers is not None
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., begin:end, :] = new
        self.keys, self.values = (buffer[..., :end, :] for buffer in self._buffers)
        self._last_keys = self.keys
        return self.keys, self.values

    def num_stored_tokens(self) -> int:
        """Number of tokens stored in this layer, without a shared prefix."""
        return super().get_seq_length()


def repeated_cache(cache: Cache, *, rows: int) -> Cache:
    """Returns a copy of the cache of one clip, repeated to a batch of `rows` rows."""
    repeated = copy.deepcopy(cache)  # generation modifies it in place
    repeated.batch_repeat_interleave(rows)
    repeated.layers = [_preallocated(layer) if type(layer) is DynamicLayer else layer for layer in repeated.layers]
    return repeated


def cache_bytes(cache: Cache) -> int:
    """Returns the memory of the keys and values of all layers in bytes."""
    states = [getattr(layer, name, None) for layer in cache.layers for name in ("keys", "values")]
    return sum(state.numel() * state.element_size() for state in states if state is not None)


def _preallocated(layer: DynamicLayer) -> PreallocatedCacheLayer:
    preallocated = PreallocatedCacheLayer()
    vars(preallocated).update(vars(layer))
    return preallocated


def _allocate(old: torch.Tensor, new: torch.Tensor, *, length: int) -> torch.Tensor:
    """Buffer for `length` tokens, of the shape and type of `new`. It starts with `old`; the rest is uninitialised."""
    buffer = new.new_empty(*new.shape[:-2], length, new.shape[-1])
    if old.numel():
        buffer[..., : old.shape[-2], :] = old
    return buffer
