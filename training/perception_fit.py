"""The emotion head learns what face and voice show beside the language model's states.

All else is frozen and the layer linear, so each clip is read once and the layer is fitted to the optimum. Gradient
steps that train the language model with it leave it near zero: few utterances show a micro-expression.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers.utils import logging

from microemo import MicroEmoModel
from microemo.heads import EmotionHead
from microemo.losses import UNKNOWN, multi_label_loss, regression_loss
from microemo.training.trained_weights import stored

logger = logging.get_logger(__name__)

MOST_ITERATIONS = 300


class PerceptionExamples(NamedTuple):
    """N utterances in which a face was seen or a voice heard.

    perception: (N, P) of `perception_of`. outputs: (N, E + 2), what the head makes of the language model's states
    alone: logits of the emotions, valence and arousal before their tanh. emotions: (N, E) and valence_arousal: (N, 2),
    what is true; -100 is not known.
    """

    perception: torch.Tensor
    outputs: torch.Tensor
    emotions: torch.Tensor
    valence_arousal: torch.Tensor


def fit_perception_fusion(
    model: nn.Module, *, batches: Iterable[Mapping[str, Any]], weight_decay: float
) -> dict[str, float]:
    """Fits `emotion_head.perception` of `model` in place.

    Args:
        batches: of `MicroEmoDataCollator`, of clips that the language model has not learned by heart: of those it
            knows what the face would have to tell.
        weight_decay: of the weights' squares, against the head's loss.

    Returns the "loss", that of the head "without" the layer, and the number of "utterances".
    Raises `ValueError` where the model has no such layer, and where no utterance with labels has a face or a voice.
    """
    core = next(module for module in model.modules() if isinstance(module, MicroEmoModel))
    if core.emotion_head.perception is None:
        raise ValueError("model.changes must set use_perception_fusion, else the head has no such layer")
    examples = perception_examples(core, batches=batches)
    return fit_examples(core.emotion_head.perception, examples=examples, weight_decay=weight_decay)


@torch.no_grad()
def perception_examples(core: MicroEmoModel, *, batches: Iterable[Mapping[str, Any]]) -> PerceptionExamples:
    """What there is to learn from."""
    core.eval()
    head, rows = core.emotion_head, list[PerceptionExamples]()
    accepted = inspect.signature(core.forward).parameters
    device = next(core.parameters()).device
    given: list[tuple[torch.Tensor, torch.Tensor | None]] = []
    hook = head.register_forward_pre_hook(lambda _, arguments: given.append(arguments))
    try:
        for batch in batches:
            core(**{name: value.to(device) for name, value in batch.items() if name in accepted}, use_cache=False)
            states, perception = given.pop()
            if perception is None:
                continue
            emotions, affect = batch["emotion_labels"].float(), batch["valence_arousal_labels"].float()
            known = (emotions != UNKNOWN).any(-1) | (affect != UNKNOWN).any(-1)  # (B, U), False at padding
            taught = perception.any(-1).cpu() & known
            values = perception, _without(head, states), emotions, affect
            rows.append(PerceptionExamples(*(value.float().cpu()[taught] for value in values)))
    finally:
        hook.remove()
    if not sum(len(row.perception) for row in rows):
        raise ValueError("in none of the examples' utterances with labels a face was seen or a voice heard")
    return PerceptionExamples(*(torch.cat(parts) for parts in zip(*rows, strict=True)))


def fit_examples(layer: nn.Linear, *, examples: PerceptionExamples, weight_decay: float) -> dict[str, float]:
    """Fits the layer; see `fit_perception_fusion`."""
    weight = torch.zeros(layer.weight.shape, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = _loss(weight, examples) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        fitted = stored(weight, dtype=torch.float16).float()
        layer.weight.copy_(fitted)
        told = {
            "loss": _loss(fitted, examples).item(),
            "without": _loss(torch.zeros_like(fitted), examples).item(),
            "utterances": len(examples.perception),
        }
    logger.info(f"perception fusion: {told}")
    return told


def _without(head: EmotionHead, states: torch.Tensor) -> torch.Tensor:
    """What the head makes of states (B, U, D) alone, (B, U, E + 2), before the tanh."""
    alone = head.forward(states)  # past the hook
    assert alone.logits is not None and alone.valence_arousal is not None
    limit = 1 - torch.finfo(torch.float32).eps
    return torch.cat((alone.logits.float(), alone.valence_arousal.float().clamp(-limit, limit).atanh()), dim=-1)


def _loss(weight: torch.Tensor, examples: PerceptionExamples) -> torch.Tensor:
    """The emotion head's, see `losses.emotion_loss`."""
    logits, affect = (examples.outputs + F.linear(examples.perception, weight)).tensor_split((-2,), dim=-1)
    return multi_label_loss("emotion_labels", logits, examples.emotions) + regression_loss(
        "valence_arousal_labels", affect.tanh(), examples.valence_arousal
    )
