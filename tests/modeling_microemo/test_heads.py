"""What the face head makes of its two kinds of evidence."""

import torch
from tiny_model import tiny_config

from microemo.heads import FaceHead

WIDTH = 32


def head() -> FaceHead:
    """One whose flow shows happiness by its first value."""
    torch.manual_seed(0)
    made = FaceHead(tiny_config())
    with torch.no_grad():
        made.dynamic_expression.weight.zero_()
        made.dynamic_expression.bias.copy_(torch.tensor([3.0, 0.0]))  # neutral at rest
        made.dynamic_expression.weight[1, 0] = 8.0
    return made


def test_movement_adds_to_the_still_face_and_takes_nothing_away():
    face = head()
    regions = torch.randn(1, 2, face.static_expression.in_features)
    dynamics = torch.zeros(1, 2, 6, WIDTH)
    dynamics[0, 1, 1, 0] = 1.0
    logits = face(regions, dynamics).expression_logits
    still = face.static_expression(regions)
    torch.testing.assert_close(logits[0, 0], still[0, 0])
    torch.testing.assert_close(logits[0, 1], still[0, 1] + torch.tensor([0.0, 5.0]))
    assert face.of_flow(dynamics[..., 1, :]).expression_logits.argmax(-1).tolist() == [[0, 1]]


def test_the_two_opinions_on_something_brief_are_averaged():
    face = head()
    dynamics = torch.randn(2, 3, 6, WIDTH)
    both = face(torch.randn(2, 3, face.static_expression.in_features), dynamics).micro_logits
    torch.testing.assert_close(
        both, (face.of_movement(dynamics[..., 0, :]).micro_logits + face.of_flow(dynamics[..., 1, :]).micro_logits) / 2
    )
