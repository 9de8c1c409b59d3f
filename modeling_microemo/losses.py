"""Losses of the prediction heads. Labels of -100 or NaN are ignored."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .configuration_microemo import NEUTRAL, MicroEmoConfig
from .outputs import MicroEmoModelOutputWithPast

UNKNOWN = -100
NEUTRAL_WEIGHT = 0.25
MICRO_WEIGHT, EXPRESSION_WEIGHT = 4.0, 0.5  # a micro-expression fills a small part of the time


@dataclass(frozen=True)
class Labels:
    """Targets of the heads, None if not given.

    emotions: (B, U, E) float in [0, 1]. valence_arousal: (B, U, 2) float in [-1, 1]. micro: (B, F) float.
    expressions: (B, F) long. action_units: (B, F, A) float.
    """

    emotions: torch.Tensor | None = None
    valence_arousal: torch.Tensor | None = None
    micro: torch.Tensor | None = None
    expressions: torch.Tensor | None = None
    action_units: torch.Tensor | None = None


def head_losses(
    output: MicroEmoModelOutputWithPast, labels: Labels, config: MicroEmoConfig
) -> dict[str, torch.Tensor | None]:
    """Returns the losses of the heads by name."""
    face = face_loss(output, labels, expression_weights=expression_weights(config))
    return {"emotion_loss": emotion_loss(output, labels), "face_loss": face}


def weighted_loss(losses: dict[str, torch.Tensor | None], config: MicroEmoConfig) -> torch.Tensor | None:
    """Returns the weighted sum of the losses that are not None; None if all are. The weights are in the config."""
    weighted = [getattr(config, f"{name}_weight") * loss for name, loss in losses.items() if loss is not None]
    return torch.stack(weighted).sum() if weighted else None


def emotion_loss(output: MicroEmoModelOutputWithPast, labels: Labels) -> torch.Tensor | None:
    """Returns multi-label cross-entropy plus squared error of valence and arousal; None without labels."""
    if labels.emotions is None and labels.valence_arousal is None:
        return None
    if output.emotion_logits is None or output.valence_arousal is None:
        raise ValueError(
            "emotion_labels or valence_arousal_labels were given, but input_ids has no <|utterance_end|> token"
        )
    terms = []
    if labels.emotions is not None:
        terms.append(multi_label_loss("emotion_labels", output.emotion_logits, labels.emotions))
    if labels.valence_arousal is not None:
        terms.append(regression_loss("valence_arousal_labels", output.valence_arousal, labels.valence_arousal))
    return torch.stack(terms).sum()


def face_loss(
    output: MicroEmoModelOutputWithPast, labels: Labels, *, expression_weights: torch.Tensor | None = None
) -> torch.Tensor | None:
    """Returns the weighted sum of micro-expression, expression and action-unit cross-entropy; None without labels.

    Args:
        expression_weights: (X,) weight of each expression; None: all 1.
    """
    if labels.micro is None and labels.expressions is None and labels.action_units is None:
        return None
    terms = []
    if labels.micro is not None:
        micro = multi_label_loss("micro_labels", _require_logits("micro_labels", output.micro_logits), labels.micro)
        terms.append(MICRO_WEIGHT * micro)
    if labels.expressions is not None:
        logits = _require_logits("expression_labels", output.expression_logits)
        expressions = class_loss("expression_labels", logits, labels.expressions, weights=expression_weights)
        terms.append(EXPRESSION_WEIGHT * expressions)
    if labels.action_units is not None:
        logits = _require_logits("action_unit_labels", output.action_unit_logits)
        terms.append(multi_label_loss("action_unit_labels", logits, labels.action_units))
    return torch.stack(terms).sum()


def expression_weights(config: MicroEmoConfig) -> torch.Tensor:
    """Returns the weight of each expression (X,). Neutral, the class of most crops, is weighted down."""
    names = config.expression_id2label
    return torch.tensor([NEUTRAL_WEIGHT if names[index] == NEUTRAL else 1.0 for index in range(len(names))])


def _require_logits(name: str, logits: torch.Tensor | None) -> torch.Tensor:
    if logits is None:
        raise ValueError(f"{name} was given without face_pixel_values")
    return logits


def multi_label_loss(name: str, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns the mean binary cross-entropy over the known labels."""
    labels, known = split_known(name, logits, labels)
    return known_mean(F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none"), known)


def regression_loss(name: str, predictions: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Returns the mean squared error over the known labels."""
    labels, known = split_known(name, predictions, labels)
    return known_mean(F.mse_loss(predictions.float(), labels, reduction="none"), known)


def class_loss(
    name: str, logits: torch.Tensor, labels: torch.Tensor, *, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Returns the mean cross-entropy over the known labels.

    Args:
        logits: (..., X). labels: (...) long. weights: (X,) class weights.
    """
    check_shape(name, labels, logits.shape[:-1])
    labels = labels.to(logits.device).flatten()
    losses = F.cross_entropy(logits.flatten(0, -2).float(), labels, ignore_index=UNKNOWN, reduction="none")
    known = labels != UNKNOWN
    if weights is None:
        return known_mean(losses, known)
    label_weights = weights.to(losses)[labels.clamp(min=0)] * known
    return (losses * label_weights).sum() / label_weights.sum().clamp(min=1e-6)


def split_known(name: str, predictions: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the labels as float with zeros for unknown ones, and a bool mask of the known ones."""
    check_shape(name, labels, predictions.shape)
    labels = labels.to(device=predictions.device, dtype=torch.float32)
    known = (labels != UNKNOWN) & ~labels.isnan()
    return labels.masked_fill(~known, 0.0), known


def check_shape(name: str, labels: torch.Tensor, expected: torch.Size) -> None:
    if labels.shape != expected:
        raise ValueError(f"{name} must have shape {tuple(expected)}, got {tuple(labels.shape)}")


def known_mean(losses: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Returns the mean over the known entries; zero, with a gradient, if none is known."""
    return (losses * known).sum() / known.sum().clamp(min=1)
