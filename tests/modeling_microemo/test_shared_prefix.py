"""Attention with a shared prefix equals attention with a repeated prefix."""

import threading

import pytest
import torch
from tiny_model import tiny_clip, tiny_model
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from microemo import MicroEmoForConditionalGeneration, shared_prefix
from microemo.generation_cache import PreallocatedCacheLayer, repeated_cache
from microemo.shared_prefix import SHARED_PREFIX_ATTENTION, SharedPrefixLayer, attend_behind_prefix, continued_cache

ROWS, HEADS, GROUPS, WIDTH, PREFIX, OWN = 3, 4, 2, 8, 7, 5
QUESTIONS = [torch.tensor([20, 21, 22]), torch.tensor([30]), torch.tensor([40, 41, 42, 43, 44])]
GREEDY = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kept_and_own(dtype=torch.float32):
    kept = tuple(random(1, GROUPS, PREFIX, WIDTH, seed=seed).to(dtype) for seed in (1, 2))
    own = tuple(random(ROWS, GROUPS, OWN, WIDTH, seed=seed).to(dtype) for seed in (3, 4))
    return kept, own


def over_all_keys(query, kept, own, *, mask):
    key, value = (
        torch.cat((one.expand(ROWS, -1, -1, -1), other), dim=2).repeat_interleave(HEADS // GROUPS, dim=1)
        for one, other in zip(kept, own, strict=True)
    )
    whole = torch.cat((mask.new_ones(ROWS, 1, mask.shape[2], PREFIX), mask), dim=-1)
    return (query @ key.mT).masked_fill(~whole, -torch.inf).softmax(-1) @ value


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("kind", ["bool", "added", None])
def test_two_parts_are_one_attention(length, kind):
    kept, own = kept_and_own()
    query = random(ROWS, HEADS, length, WIDTH)
    mask = torch.ones(ROWS, 1, length, OWN, dtype=torch.bool)
    if kind is not None:
        mask = random(ROWS, 1, length, OWN, seed=9) > 0
        mask[0] = False  # a row of padding: the prefix alone
    given = {"bool": mask, "added": torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)}
    mixed = attend_behind_prefix(query, kept, own, mask=given.get(kind))
    torch.testing.assert_close(mixed, over_all_keys(query, kept, own, mask=mask), atol=1e-5, rtol=1e-5)


def test_half_precision_stays_close():
    kept, own = kept_and_own(torch.bfloat16)
    query = random(ROWS, HEADS, 1, WIDTH).bfloat16()
    mixed = attend_behind_prefix(query, kept, own, mask=None)
    mask = torch.ones(ROWS, 1, 1, OWN, dtype=torch.bool)
    whole = [[part.float() for part in parts] for parts in (kept, own)]
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), over_all_keys(query.float(), *whole, mask=mask), atol=0.03, rtol=0.03)


def filled():
    cache = DynamicCache()
    for layer in range(2):
        cache.update(*(random(1, GROUPS, PREFIX, WIDTH, seed=10 * layer + part) for part in (1, 2)), layer)
    return cache


def test_a_layer_holds_what_came_behind_the_prefix():
    whole = repeated_cache(filled(), rows=ROWS).layers[0]
    layer = SharedPrefixLayer(filled().layers[0], rows=ROWS)

    def step(seed):
        new = random(whole.keys.shape[0], GROUPS, 2, WIDTH, seed=seed)
        for ours, theirs in zip(layer.update(new, -new), whole.update(new, -new), strict=True):
            assert torch.equal(ours, theirs[:, :, PREFIX:])
        assert layer.get_seq_length() == whole.get_seq_length()
        assert layer.get_mask_sizes(3) == whole.get_mask_sizes(3)

    assert layer.get_seq_length() == PREFIX
    step(1)
    step(2)
    for each in (layer, whole):
        each.reorder_cache(torch.tensor([2, 0, 0]))
    step(3)
    for each in (layer, whole):
        each.crop(-3)
    step(4)
    for each in (layer, whole):
        each.batch_select_indices(torch.tensor([1]))
    step(5)


@pytest.fixture
def model():
    return tiny_model(MicroEmoForConditionalGeneration)


def kinds(model, cache):
    with continued_cache(model.model.language_model, cache, rows=2) as continued:
        return {type(layer) for layer in continued.layers}


def test_the_prefix_is_not_copied(model):
    cache = filled()
    with continued_cache(model.model.language_model, cache, rows=ROWS) as continued:
        for layer, before in zip(continued.layers, cache.layers, strict=True):
            assert layer.prefix[0] is before.keys and layer.keys.numel() == 0
    assert all(type(layer) is DynamicLayer for layer in cache.layers)


@pytest.mark.parametrize("settings", [{}, {"num_beams": 3}, {"num_beams": 4, "num_return_sequences": 2}])
def test_answers_are_those_of_repeated_prefixes(model, monkeypatch, settings):
    prefix = model.encode_prefix(**tiny_clip(3))
    assert kinds(model, prefix.output.past_key_values) == {SharedPrefixLayer}
    shared = model.generate_from_prefix(prefix, QUESTIONS, **GREEDY, **settings)
    monkeypatch.setattr(shared_prefix, "SHARING_MODELS", ())
    assert kinds(model, prefix.output.past_key_values) == {PreallocatedCacheLayer}
    assert torch.equal(shared, model.generate_from_prefix(prefix, QUESTIONS, **GREEDY, **settings))


def test_unsupported_caches_are_repeated(model):
    cache = filled()
    language_model = model.model.language_model
    sliding = DynamicSlidingWindowLayer(sliding_window=3)
    sliding.update(random(1, GROUPS, PREFIX, WIDTH), random(1, GROUPS, PREFIX, WIDTH))
    mixed = filled()
    mixed.layers[1] = sliding
    assert kinds(model, mixed) == {PreallocatedCacheLayer, DynamicSlidingWindowLayer}
    language_model.config._attn_implementation = "eager"
    assert kinds(model, cache) == {PreallocatedCacheLayer}
    language_model.config._attn_implementation = "sdpa"
    assert kinds(model, cache) == {SharedPrefixLayer}
    language_model.compile()
    assert kinds(model, cache) == {PreallocatedCacheLayer}


def test_the_attention_is_restored_after_the_last_context(model):
    language_model, cache = model.model.language_model, filled()
    config = language_model.config
    with continued_cache(language_model, cache, rows=2):
        with continued_cache(language_model, cache, rows=2):
            assert config._attn_implementation == SHARED_PREFIX_ATTENTION
        assert config._attn_implementation == SHARED_PREFIX_ATTENTION
    assert config._attn_implementation == "sdpa"


def test_outside_the_context_nothing_changes(model):
    clip = tiny_clip(2)
    before = model(**clip).logits
    prefix = model.encode_prefix(**clip)
    elsewhere = []
    with continued_cache(model.model.language_model, prefix.output.past_key_values, rows=2):
        thread = threading.Thread(target=lambda: elsewhere.append(model(**clip).logits.detach()))
        thread.start()
        thread.join()
    assert torch.equal(elsewhere[0], before) and torch.equal(model(**clip).logits, before)
