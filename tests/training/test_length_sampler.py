"""Batches have similar lengths and random order."""

import pytest

from microemo.data.example import NO_QUESTION, EmotionTargets, Example, LabelledUtterance
from microemo.training.length_sampler import LengthSampler, estimate_tokens

LENGTHS = [row % 10 for row in range(1003)]


def batches(sampler):
    order = list(sampler)
    return [order[start : start + 8] for start in range(0, len(order), 8)]


def test_every_row_is_sampled_once():
    assert sorted(LengthSampler(LENGTHS, batch_size=8)) == list(range(1003))


def test_batches_have_similar_lengths():
    widths = [
        max(spread) - min(spread)
        for batch in batches(LengthSampler(LENGTHS, batch_size=8))
        for spread in [[LENGTHS[place] for place in batch]]
    ]
    assert sum(widths) / len(widths) < 0.5


def test_batches_are_not_sorted_by_length():
    lengths = [LENGTHS[batch[0]] for batch in batches(LengthSampler(LENGTHS, batch_size=8))]
    num_increases = sum(after > before for before, after in zip(lengths, lengths[1:], strict=False))
    assert 0.3 < num_increases / len(lengths) < 0.7


def test_order_depends_on_seed_and_epoch():
    sampler = LengthSampler(LENGTHS, batch_size=8, seed=3)
    first = list(sampler)
    assert list(LengthSampler(LENGTHS, batch_size=8, seed=3)) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(LengthSampler([1, 2], batch_size=8)) in ([0, 1], [1, 0])


@pytest.mark.parametrize("batch_size", [1, 3])
def test_empty_table_has_no_batches(batch_size):
    assert list(LengthSampler([], batch_size=batch_size)) == []


def test_estimated_length_includes_the_answer():
    utterance = LabelledUtterance("I am fine.", targets=EmotionTargets(closed_label="joy"))
    targets = EmotionTargets(open_labels=("glad",), description="Emotions: glad.\nReason: " + "The face smiles. " * 9)
    voice = Example("a", audio="a.flac", utterances=(utterance,), question_index=NO_QUESTION)
    explained = Example("b", video="b.mp4", utterances=(utterance,), targets=targets, question_index=0)
    assert estimate_tokens(explained) > 1.5 * estimate_tokens(voice) > 0
