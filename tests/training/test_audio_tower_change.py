"""Another tower under the audio Q-Former: what is folded stays what it was."""

import torch
from tiny_model import PART

from microemo.configuration_microemo import MicroEmoAudioQFormerConfig
from microemo.segment_qformer import SegmentQFormer
from microemo.training.audio_tower_change import LinearMap, explained, fold_map, ridge_map


def qformer(width: int) -> SegmentQFormer:
    torch.manual_seed(0)
    settings = {**PART, "num_query_tokens": 3, "encoder_hidden_size": width, "max_encoder_positions": 5}
    found = SegmentQFormer(MicroEmoAudioQFormerConfig(**settings)).eval()
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return found


def tokens(found: SegmentQFormer, states: torch.Tensor, *, window: int) -> torch.Tensor:
    membership = torch.ones(1, 2, states.shape[1], dtype=torch.bool)
    membership[:, 1] = False  # the second segment is empty
    positions = torch.full((1, states.shape[1]), window)
    with torch.no_grad():
        return found(states, positions=positions, membership=membership)


def test_a_linear_relation_is_found_and_folded_exactly():
    torch.manual_seed(1)
    weight, bias = torch.randn(8, 12), torch.randn(8)
    inputs = torch.randn(500, 12)
    found = ridge_map(inputs, targets=inputs @ weight.T + bias, ridge=1e-9)
    torch.testing.assert_close(found.weight.float(), weight, atol=1e-4, rtol=1e-4)
    assert explained(found, inputs=inputs, targets=inputs @ weight.T + bias) > 0.9999
    old, new = qformer(8), qformer(12)
    new.load_state_dict(fold_map(old.state_dict(), found=found), strict=True)
    states = torch.randn(1, 9, 12)
    for window in (0, 3):
        expected = tokens(old, states @ weight.T + bias, window=window)
        torch.testing.assert_close(tokens(new, states, window=window), expected, atol=1e-3, rtol=1e-3)


def test_the_first_window_is_exact_where_the_new_tower_lacks_directions():
    torch.manual_seed(2)
    weight = torch.randn(8, 3) @ torch.randn(3, 12)  # of rank 3
    found = LinearMap(weight.double(), torch.randn(8).double())
    old, new = qformer(8), qformer(12)
    new.load_state_dict(fold_map(old.state_dict(), found=found), strict=True)
    states = torch.randn(1, 9, 12)
    expected = tokens(old, found(states).float(), window=0)
    torch.testing.assert_close(tokens(new, states, window=0)[:, 0], expected[:, 0], atol=1e-3, rtol=1e-3)


def test_noise_is_not_explained():
    torch.manual_seed(3)
    inputs = torch.randn(2000, 6)
    found = ridge_map(inputs[:1000], targets=torch.randn(1000, 4))
    assert abs(explained(found, inputs=inputs[1000:], targets=torch.randn(1000, 4))) < 0.05
