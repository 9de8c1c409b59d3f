"""Attention with a shared prefix: the keys and values of the prefix are stored once for all rows of a batch.

    keys of row 1    [ prefix ][ suffix 1 ]     Softmax over both parts is the mean of two softmaxes, weighted by the
    keys of row 2    [ prefix ][ suffix 2 ]     sums of their exponentials. Both parts are computed separately,
                    stored once                 the prefix for the queries of all rows as one sequence.

Hydragen (Juravsky et al. 2024, arXiv 2402.05099). The results equal those of a prefix repeated for each row, up to
rounding, without the memory of the copies.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .generation_cache import PreallocatedCacheLayer, repeated_cache

SHARED_PREFIX_ATTENTION = "sdpa_shared_prefix"
SHARING_MODELS = ("llama", "qwen2", "qwen3")  # pass the keys from the cache to the attention unchanged

_switch_lock = threading.Lock()
_contexts: WeakKeyDictionary[PreTrainedModel, int] = WeakKeyDictionary()  # open contexts of each language model
_active_cache: ContextVar[Cache | None] = ContextVar("cache with a shared prefix", default=None)


class SharedPrefixLayer(PreallocatedCacheLayer):
    """Keys and values of each row after a shared, read-only prefix. prefix: keys and values, (1, H, P, d) each."""

    def __init__(self, prefix: DynamicLayer, *, rows: int) -> None:
        super().__init__()
        assert prefix.keys is not None and prefix.values is not None
        self.prefix = (prefix.keys, prefix.values)
        self.lazy_initialization(*self.prefix)
        self.keys, self.values = (states[..., :0, :].expand(rows, -1, -1, -1) for states in self.prefix)

    def get_seq_length(self) -> int:
        """Number of tokens of the prefix and after it."""
        return self.prefix[0].shape[-2] + self.num_stored_tokens()


@contextmanager
def continued_cache(language_model: PreTrainedModel, cache: Cache, *, rows: int) -> Iterator[Cache]:
    """Context manager with a new cache of `rows` rows, each of which continues the cache of one clip.

    The rows share the memory of `cache` if the attention of the language model supports it. The new cache must then be
    used within the context and in the same thread.
    """
    if not _can_share(language_model, cache):
        yield repeated_cache(cache, rows=rows)
        return
    shared = copy.copy(cache)
    shared.layers = [SharedPrefixLayer(layer, rows=rows) for layer in cache.layers if isinstance(layer, DynamicLayer)]
    token = _active_cache.set(shared)
    _switch_attention(language_model, contexts=1)
    try:
        yield shared
    finally:
        _switch_attention(language_model, contexts=-1)
        _active_cache.reset(token)


def _switch_attention(language_model: PreTrainedModel, *, contexts: int) -> None:
    """Counts the contexts of all threads: the model has its own attention again when the last one is left."""
    config = language_model.config
    with _switch_lock:
        count = _contexts.get(language_model, 0) + contexts
        _contexts[language_model] = count
        config._attn_implementation = SHARED_PREFIX_ATTENTION if count else "sdpa"


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
    """Attention function for transformers: as "sdpa", but within `continued_cache` the keys follow a shared prefix."""
    cache = _active_cache.get()
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
    suffix: tuple[torch.Tensor, torch.Tensor],
    *,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Softmax attention over an unmasked prefix shared by all rows, and over the keys of each row after it.

    Args:
        query: (B, H, L, d), scaled.
        prefix: keys and values (1, G, P, d); H is a multiple of G (grouped-query attention).
        suffix: keys and values (B, G, S, d).
        mask: (B or 1, 1, L, S) of the suffix: bool, True where visible, or float, added to the scores; None: all.

    Returns:
        (B, H, L, d).
    """
    rows, _, length, size = query.shape
    groups = suffix[0].shape[1]
    queries = query.reshape(rows, groups, -1, size)  # (B, G, H / G * L, d)
    if mask is not None:
        mask = mask.repeat(1, 1, queries.shape[2] // length, 1)  # (B or 1, 1, H / G * L, S)
    flat_queries = queries.transpose(0, 1).reshape(1, groups, -1, size)  # all rows as one sequence
    prefix_output, prefix_weight = (
        part.view(groups, rows, -1, part.shape[-1]).transpose(0, 1)
        for part in _partial_attention(flat_queries, *prefix, mask=None)
    )
    suffix_output, suffix_weight = _partial_attention(queries, *suffix, mask=mask)
    mixed = torch.lerp(
        suffix_output, prefix_output, torch.sigmoid(prefix_weight - suffix_weight).to(suffix_output.dtype)
    )
    return mixed.reshape(query.shape)


def _partial_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the attention over a part of the keys (..., L, d) and the logsumexp of its scores (..., L, 1)."""
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
