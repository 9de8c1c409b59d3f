"""The segment Q-Former: a batched call equals a loop over segments; empty segments use the null key."""

import pytest
import torch
from tiny_model import PART

from microemo import MicroEmoVideoQFormerConfig
from microemo.segment_qformer import SegmentQFormer


@pytest.fixture
def qformer():
    torch.manual_seed(0)
    config = MicroEmoVideoQFormerConfig(**PART, num_query_tokens=3, encoder_hidden_size=24, max_encoder_positions=10)
    qformer = SegmentQFormer(config).eval()
    for parameter in qformer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return qformer


def test_one_call_for_all_segments_equals_a_loop(qformer):
    states, positions = torch.randn(2, 10, 24), torch.arange(10).expand(2, -1)
    membership = torch.rand(2, 4, 10) < 0.5
    membership[0, 2] = False  # an empty one too
    together = qformer(states, positions=positions, membership=membership)
    assert together.shape == (2, 4, 3, 32)
    for clip in range(2):
        for segment in range(4):
            held = membership[clip, segment]
            alone = qformer(
                states[clip, held][None],
                positions=positions[clip, held][None],
                membership=torch.ones(1, 1, int(held.sum()), dtype=torch.bool),
            )
            torch.testing.assert_close(together[clip, segment], alone[0, 0], atol=1e-5, rtol=1e-5)


def test_an_empty_segment_sees_the_null_key_alone(qformer):
    membership = torch.tensor([[[True] * 4, [False] * 4]])
    first = qformer(torch.randn(1, 4, 24), positions=torch.arange(4)[None], membership=membership)
    second = qformer(torch.randn(1, 4, 24), positions=torch.arange(4)[None], membership=membership)
    assert torch.equal(first[0, 1], second[0, 1])
    assert not torch.allclose(first[0, 0], second[0, 0], atol=1e-3)
    with torch.no_grad():
        qformer.null_key += 1.0
    third = qformer(torch.randn(1, 4, 24), positions=torch.arange(4)[None], membership=membership)
    assert not torch.allclose(first[0, 1], third[0, 1], atol=1e-3)


def test_the_null_key_does_not_touch_a_segment_that_holds_something(qformer):
    arguments = {"positions": torch.arange(4)[None], "membership": torch.ones(1, 1, 4, dtype=torch.bool)}
    states = torch.randn(1, 4, 24)
    before = qformer(states, **arguments)
    with torch.no_grad():
        qformer.null_key += 1.0
    assert torch.equal(before, qformer(states, **arguments))


def test_order_matters_through_the_positions(qformer):
    states, membership = torch.randn(1, 4, 24), torch.ones(1, 1, 4, dtype=torch.bool)
    forwards = qformer(states, positions=torch.arange(4)[None], membership=membership)
    backwards = qformer(states, positions=torch.arange(4).flip(0)[None], membership=membership)
    assert not torch.allclose(forwards, backwards, atol=1e-3)


def test_more_frames_than_positions_are_refused(qformer):
    with pytest.raises(ValueError, match=r"has 11 frames or audio windows, more than max_encoder_positions \(10\)"):
        qformer(
            torch.randn(1, 11, 24),
            positions=torch.arange(11)[None],
            membership=torch.ones(1, 1, 11, dtype=torch.bool),
        )
