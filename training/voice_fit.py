"""The voice readout learns what voices sound of: logistic regression over their statistics, fitted to the optimum.

The tower is frozen and the readout linear, so each recording is heard once and no gradient descends through a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers.utils import logging

from microemo import MicroEmoModel
from microemo.training.trained_weights import stored
from microemo.voice_readout import VoiceReadout

logger = logging.get_logger(__name__)

UNKNOWN = -100
SMALLEST_SPREAD = 1e-4  # of a statistic that never changes
MOST_ITERATIONS = 500
VOICE_INPUTS = ("input_features", "audio_mask", "utterance_times", "utterance_mask")


def fit_voice_readout(
    model: nn.Module, *, batches: Iterable[Mapping[str, Any]], weight_decay: float
) -> dict[str, float]:
    """Fits the readout of `model` in place.

    Args:
        batches: of `MicroEmoDataCollator` with `voice_labels`.
        weight_decay: of the weights' squares, against the mean cross entropy.

    Returns the "loss", the share of recordings that are told right ("accuracy") and their number ("recordings").
    Raises `ValueError` where no recording has a known voice.
    """
    core = next(module for module in model.modules() if isinstance(module, MicroEmoModel))
    values, labels = heard_voices(core, batches=batches)
    return fit_statistics(core.voice_readout, values=values, labels=labels, weight_decay=weight_decay)


@torch.no_grad()
def heard_voices(core: MicroEmoModel, *, batches: Iterable[Mapping[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Statistics (N, E) and classes (N,) long of the utterances whose voice is known."""
    core.eval()
    device = next(core.parameters()).device
    values, labels = [], []
    for batch in batches:
        known = batch["voice_labels"] != UNKNOWN  # (B, U)
        if not known.any() or "input_features" not in batch:
            continue
        statistics = core.get_voice_statistics(**{name: batch[name].to(device) for name in VOICE_INPUTS})
        known = known & statistics.heard[:, 1:].to(known.device)  # segments begin with the whole clip
        values.append(statistics.values[:, 1:][known.to(device)].cpu())
        labels.append(batch["voice_labels"][known].cpu())
    if not labels or not len(torch.cat(labels)):
        raise ValueError("none of the examples is a recording whose closed_label is one of the voices")
    return torch.cat(values), torch.cat(labels)


@torch.enable_grad()
def fit_statistics(
    readout: VoiceReadout, *, values: torch.Tensor, labels: torch.Tensor, weight_decay: float
) -> dict[str, float]:
    """Fits centre, scale and the linear layer to statistics (N, E) of classes (N,)."""
    device = readout.emotion.weight.device
    values, labels = values.to(device), labels.to(device)
    # What files keep in half precision is what the layer learns over.
    centre = stored(values.mean(0), dtype=torch.float16).to(values)
    scale = stored(1 / (values - centre).square().mean(0).sqrt().clamp(min=SMALLEST_SPREAD), dtype=torch.float16)
    readout.centre.copy_(centre)
    readout.scale.copy_(scale)
    inputs = (values - centre) * scale.to(values)
    weight = torch.zeros_like(readout.emotion.weight, requires_grad=True)
    bias = torch.zeros_like(readout.emotion.bias, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(inputs, weight, bias), labels) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        readout.emotion.weight.copy_(weight)
        readout.emotion.bias.copy_(bias)
        logits = F.linear(inputs, weight, bias)
        found = {
            "loss": F.cross_entropy(logits, labels).item(),
            "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
            "recordings": len(labels),
        }
    logger.info(f"voice readout: {found}")
    return found
