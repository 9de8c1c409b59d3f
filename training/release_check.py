"""Whether the model that is assembled from shipped weights is the one that was trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.lora_files import Lora
from microemo.conversion.mini.trained_parts import TrainedCheckpoint

# Settings by their last name, at any depth, that say how a model was made or is trained, not what it computes.
NOT_COMPARED = frozenset(
    {
        "_name_or_path",
        "architectures",
        "attention_dropout",
        "attention_probs_dropout_prob",
        "dtype",
        "emotion_loss_weight",
        "face_loss_weight",
        "hidden_dropout_prob",
        "language_loss_weight",
        "trained_parts",  # their order, or what an earlier part of the record says
        "transformers_version",
        "use_cache",
    }
)
FLOAT_NOISE = 1e-6  # of sums in another order, and of float16 near zero
LORA_ROUNDINGS = 2.0  # of both factors


def check_shipment(
    assembled: Path, *, trained: Path, checkpoint: TrainedCheckpoint, continued: Sequence[Lora] = ()
) -> None:
    """Compares the assembled folder with that of the trained model.

    Args:
        checkpoint: what was laid over the public weights; it may differ from the trained weights by rounding, and
            everything else not at all.
        continued: the LoRAs that training went on with: they were taken out of the weights as their files have them,
            rounded too.

    Raises `ValueError` for a weight or a setting that differs: it was trained, but is not among the shipped ones.
    """
    found = MicroEmoForConditionalGeneration.from_pretrained(assembled)
    expected = MicroEmoForConditionalGeneration.from_pretrained(trained)
    _check_config(found.config.to_dict(), expected=expected.config.to_dict())
    weights, own = found.state_dict(), expected.state_dict()
    if weights.keys() != own.keys():
        raise ValueError(f"the shipped and the trained model differ in weights: {sorted(weights.keys() ^ own.keys())}")
    allowed = _roundings(checkpoint, loras=[*checkpoint.loras.values(), *continued])
    for key, value in own.items():
        exact = value.float()
        bound = FLOAT_NOISE + torch.finfo(expected.dtype).eps * exact.abs() + allowed.get(key, torch.zeros(()))
        difference = (weights[key].float() - exact).abs()
        if not (difference <= bound).all():
            raise ValueError(
                f"{key} was trained to values that are not shipped: they differ by {difference.max():.3g}, where "
                f"{'rounding explains' if key in allowed else 'an untrained weight may have'} {bound.max():.3g}"
            )


def _roundings(checkpoint: TrainedCheckpoint, *, loras: Sequence[Lora]) -> dict[str, torch.Tensor]:
    """How far each shipped weight may lie from the trained one, because it was stored in less precision."""
    allowed = {
        key: torch.finfo(value.dtype).eps * value.float().abs()
        for key, value in checkpoint.state_dict.items()
        if value.is_floating_point()
    }
    for lora in loras:
        for module, (down, up) in lora.factors.items():
            size = abs(lora.scale) * up.float().abs() @ down.float().abs()
            name, rounding = f"{module}.weight", LORA_ROUNDINGS * torch.finfo(down.dtype).eps * size
            allowed[name] = allowed.get(name, torch.zeros(())) + rounding
    return allowed


def _check_config(found: Mapping[str, Any], *, expected: Mapping[str, Any]) -> None:
    shipped, trained = dict(_settings(found)), dict(_settings(expected))
    for path in sorted(shipped.keys() | trained.keys()):
        if shipped.get(path) != trained.get(path):
            raise ValueError(
                f"the model was trained with {path} = {trained.get(path)!r}, but microemo-mini has "
                f"{shipped.get(path)!r}"
            )


def _settings(config: Mapping[str, Any], *, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if name in NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            yield from _settings({str(key): inner for key, inner in value.items()}, path=f"{path}{name}.")
        else:
            yield f"{path}{name}", value
