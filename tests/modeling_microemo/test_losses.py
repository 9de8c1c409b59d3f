"""Losses of the heads: unknown labels are ignored, wrong shapes are reported."""

import math

import pytest
import torch
from tiny_model import tiny_config

from microemo.losses import (
    NEUTRAL_WEIGHT,
    Labels,
    class_loss,
    emotion_loss,
    expression_weights,
    face_loss,
    multi_label_loss,
    regression_loss,
)
from microemo.outputs import MicroEmoModelOutputWithPast


def test_unknown_labels_cost_nothing():
    logits = torch.tensor([[0.0, 100.0, -100.0]])
    assert multi_label_loss("x", logits, torch.tensor([[1.0, -100.0, math.nan]])).item() == pytest.approx(math.log(2))
    assert regression_loss("x", logits, torch.tensor([[0.5, math.nan, -100.0]])).item() == pytest.approx(0.25)
    wrong = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    assert class_loss("x", wrong, torch.tensor([1, -100])).item() == pytest.approx(math.log(2))


def test_the_neutral_face_counts_little():
    weights = expression_weights(tiny_config(expression_id2label={0: "happiness", 1: "neutral"}))
    assert weights.tolist() == [1.0, NEUTRAL_WEIGHT]
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 0.0]])
    loss = class_loss("x", logits, torch.tensor([0, 1, -100]), weights=weights)
    happy, neutral = math.log(2), math.log(1 + math.exp(2))
    assert loss.item() == pytest.approx((happy + NEUTRAL_WEIGHT * neutral) / (1 + NEUTRAL_WEIGHT))
    assert class_loss("x", logits, torch.full((3,), -100), weights=weights).item() == 0


def test_nothing_known_is_zero_with_a_gradient():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = multi_label_loss("x", logits, torch.full((2, 3), -100.0))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.eq(0).all()


def test_soft_labels_are_allowed():
    labels = torch.tensor([[0.3]])
    at_target = multi_label_loss("x", labels.logit(), labels)
    assert at_target < multi_label_loss("x", labels.logit() + 0.5, labels)
    assert at_target < multi_label_loss("x", labels.logit() - 0.5, labels)


def test_a_wrong_shape_is_named_with_both_shapes():
    with pytest.raises(ValueError, match=r"micro_labels must have shape \(2, 3\), got \(2, 4\)"):
        multi_label_loss("micro_labels", torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"expression_labels must have shape \(2, 3\), got \(2, 3, 8\)"):
        class_loss("expression_labels", torch.zeros(2, 3, 8), torch.zeros(2, 3, 8, dtype=torch.long))


def test_labels_without_head_outputs_are_refused():
    silent = MicroEmoModelOutputWithPast()
    with pytest.raises(ValueError, match="has no <|utterance_end|> token".replace("|", r"\|")):
        emotion_loss(silent, Labels(emotions=torch.zeros(1, 1, 3)))
    with pytest.raises(ValueError, match="was given without face_pixel_values"):
        face_loss(silent, Labels(micro=torch.zeros(1, 4)))
    assert emotion_loss(silent, Labels()) is None and face_loss(silent, Labels()) is None
