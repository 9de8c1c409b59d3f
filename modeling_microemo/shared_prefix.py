"""Answers about one clip look at the same prefix: its keys and values are kept once, and read once a step for all.

    keys of row 1    [ prefix ][ own 1 ]        Softmax over both parts is the mean of two softmaxes, weighted by the
    keys of row 2    [ prefix ][ own 2 ]        sums of their exponentials, so the parts are attended to apart: the
                     kept once                  prefix by the queries of all rows as if they were one sequence.

Hydragen (Juravsky et al. 2024, arXiv 2402.05099). Repeating the prefix for each row gives the same numbers, but for
the last bits, for as many times the memory.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .generation_cache import RoomyLayer, repeated_cache

SHARED_PREFIX_ATTENTION = "sdpa_shared_prefix"
SHARING_MODELS = ("llama", "qwen2", "qwen3")  # hand their keys from the cache to the attention as they are

_continued: ContextVar[Cache | None] = ContextVar("continued cache", default=None)


class SharedPrefixLayer(RoomyLayer):
    """Keys and values of each row behind those of a prefix, `prefix`: both (1, H, P, d), which is only read."""

    def __init__(self, prefix: DynamicLayer, *, rows: int) -> None:
        super().__init__()
        assert prefix.keys is not None and prefix.values is not None
        self.prefix = (prefix.keys, prefix.values)
        self.lazy_initialization(*self.prefix)
        self.keys, self.values = (states[..., :0, :].expand(rows, -1, -1, -1) for states in self.prefix)

    def get_seq_length(self) -> int:
        """Of the prefix and of what came behind it."""
        return self.prefix[0].shape[-2] + self.own_length()


@contextmanager
def continued_cache(language_model: PreTrainedModel, cache: Cache, *, rows: int) -> Iterator[Cache]:
    """A cache of its own that begins each of so many rows with what `cache` holds of one clip.

    It shares that part among the rows where the language model's attention can, and must then be used within the
    context and in its thread.
    """
    if not _can_share(language_model, cache):
        yield repeated_cache(cache, rows=rows)
        return
    # Stays: outside this context it is "sdpa", and another thread may be within one.
    language_model.config._attn_implementation = SHARED_PREFIX_ATTENTION
    shared = copy.copy(cache)
    shared.layers = [SharedPrefixLayer(layer, rows=rows) for layer in cache.layers if isinstance(layer, DynamicLayer)]
    token = _continued.set(shared)
    try:
        yield shared
    finally:
        _continued.reset(token)


def _can_share(language_model: PreTrainedModel, cache: Cache) -> bool:
    config = language_model.config
    return (
        config.model_type in SHARING_MODELS
        and config._attn_implementation in ("sdpa", SHARED_PREFIX_ATTENTION)
        and language_model._compiled_call_impl is None
        and all(type(layer) is DynamicLayer for layer in cache.layers)
    )


def shared_prefix_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **keywords: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention function: "sdpa", but within `continued_cache` the keys are those behind its prefix."""
    cache = _continued.get()
    if cache is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **keywords)
    prefix_key, prefix_value = cache.layers[module.layer_idx].prefix  # type: ignore[index, union-attr]
    mixed = attend_behind_prefix(
        query * (query.shape[-1] ** -0.5 if scaling is None else scaling),
        (prefix_key, prefix_value),
        (key, value),
        mask=None if attention_mask is None else attention_mask[..., prefix_key.shape[-2] :],
    )
    return mixed.transpose(1, 2), None


def attend_behind_prefix(
    query: torch.Tensor,
    prefix: tuple[torch.Tensor, torch.Tensor],
    own: tuple[torch.Tensor, torch.Tensor],
    *,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Softmax attention over a prefix that all rows see whole, and over each row's own keys.

    Args:
        query: (B, H, L, d), scaled.
        prefix: keys and values (1, G, P, d); H is a multiple of G (grouped-query attention).
        own: keys and values (B, G, S, d).
        mask: (B or 1, 1, L, S) of the own keys: bool, True where they are seen, or added to the scores; None: all.

    Returns:
        (B, H, L, d).
    """
    rows, _, length, size = query.shape
    groups = own[0].shape[1]
    queries = query.reshape(rows, groups, -1, size)  # (B, G, H / G * L, d)
    if mask is not None:
        mask = mask.repeat(1, 1, queries.shape[2] // length, 1)  # (B or 1, 1, H / G * L, S)
    together = queries.transpose(0, 1).reshape(1, groups, -1, size)  # all rows as one sequence
    of_prefix, prefix_weight = (
        part.view(groups, rows, -1, part.shape[-1]).transpose(0, 1) for part in _part(together, *prefix, mask=None)
    )
    of_own, own_weight = _part(queries, *own, mask=mask)
    mixed = torch.lerp(of_own, of_prefix, torch.sigmoid(prefix_weight - own_weight).to(of_own.dtype))
    return mixed.reshape(query.shape)


def _part(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention to one part of the keys (..., L, d), and the logarithm of its sum of exponentials (..., L, 1)."""
    scores = (query @ key.transpose(-1, -2)).float()
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    elif mask is not None:
        scores = scores + mask
    highest = scores.amax(-1, keepdim=True)
    weights = (scores - highest).exp_()
    total = weights.sum(-1, keepdim=True)
    return (weights.to(value.dtype) @ value) / total.to(value.dtype), highest + total.log()


AttentionInterface.register(SHARED_PREFIX_ATTENTION, shared_prefix_attention)
AttentionMaskInterface.register(SHARED_PREFIX_ATTENTION, sdpa_mask)
