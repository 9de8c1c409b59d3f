"""The preallocated cache equals transformers' dynamic cache and copies only on reallocation."""

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from microemo.generation_cache import PREALLOCATED_TOKENS, PreallocatedCacheLayer, cache_bytes, repeated_cache

LAYERS, HEADS, WIDTH = 2, 3, 4


def states(tokens, *, rows=1, seed=0):
    return torch.randn(rows, HEADS, tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


def filled(tokens=5, *, rows=1):
    cache = DynamicCache()
    for layer in range(LAYERS):
        cache.update(states(tokens, rows=rows, seed=layer), states(tokens, rows=rows, seed=10 + layer), layer)
    return cache


def both_updated(first, second, *, steps, rows, tokens=1, seed=100):
    for step in range(steps):
        new = states(tokens, rows=rows, seed=seed + step)
        for layer in range(LAYERS):
            ours, theirs = (cache.update(new, -new, layer) for cache in (first, second))
            for one, other in zip(ours, theirs, strict=True):
                assert torch.equal(one, other)


@pytest.mark.parametrize("tokens", [1, 7])
def test_cache_equals_dynamic_layer(tokens):
    wanted = filled()
    wanted.batch_repeat_interleave(2)
    grown = repeated_cache(filled(), rows=2)
    both_updated(grown, wanted, steps=2 * PREALLOCATED_TOKENS // tokens, rows=2, tokens=tokens)
    assert grown.get_seq_length() == wanted.get_seq_length()


def test_reordered_rows_and_cropped_tokens():
    wanted = filled()
    wanted.batch_repeat_interleave(3)
    grown = repeated_cache(filled(), rows=3)
    both_updated(grown, wanted, steps=2, rows=3)
    for cache in (grown, wanted):
        cache.reorder_cache(torch.tensor([2, 2, 0]))
    both_updated(grown, wanted, steps=2, rows=3, seed=200)
    for cache in (grown, wanted):
        cache.crop(-3)
    both_updated(grown, wanted, steps=2, rows=3, seed=300)
    for cache in (grown, wanted):
        cache.batch_select_indices(torch.tensor([1]))
    both_updated(grown, wanted, steps=2, rows=1, seed=400)


def test_a_step_writes_in_place():
    grown = repeated_cache(filled(), rows=1)
    grown.update(states(1), states(1), 0)
    place = grown.layers[0].keys.data_ptr()
    for _ in range(PREALLOCATED_TOKENS):
        grown.update(states(1), states(1), 0)
    assert grown.layers[0].keys.data_ptr() == place


def test_repeating_does_not_change_the_original_cache():
    cache = filled()
    before = [layer.keys.clone() for layer in cache.layers]
    grown = repeated_cache(cache, rows=2)
    grown.update(states(1, rows=2), states(1, rows=2), 0)
    grown.layers[0].keys.zero_()
    assert all(torch.equal(layer.keys, keys) for layer, keys in zip(cache.layers, before, strict=True))
    assert all(type(layer) is DynamicLayer for layer in cache.layers)


def test_other_layer_types_are_unchanged():
    cache = filled()
    sliding = DynamicSlidingWindowLayer(sliding_window=3)
    sliding.update(states(5), states(5))
    cache.layers[1] = sliding
    kinds = [type(layer) for layer in repeated_cache(cache, rows=2).layers]
    assert kinds == [PreallocatedCacheLayer, DynamicSlidingWindowLayer]


def test_bytes_are_those_of_keys_and_values():
    assert cache_bytes(filled(tokens=5)) == LAYERS * 2 * HEADS * 5 * WIDTH * 4
    assert cache_bytes(DynamicCache()) == 0
