"""Checks that the model assembled from released weights equals the trained model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.lora_files import Lora
from microemo.conversion.mini.trained_parts import TrainedCheckpoint

# Config entries, at any depth, that do not change what the model computes.
IGNORED_SETTINGS = frozenset(
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
        "trained_parts",  # the released record also has those of earlier releases
        "transformers_version",
        "use_cache",
    }
)
FLOAT_TOLERANCE = 1e-6  # for another order of summation, and float16 near zero
LORA_ROUNDINGS = 2.0  # both factors are rounded


def check_release(
    assembled: Path, *, trained: Path, checkpoint: TrainedCheckpoint, continued: Sequence[Lora] = ()
) -> None:
    """Compares weights and config of the assembled folder with those of the trained model.

    Args:
        checkpoint: the released weights. They may differ from the trained ones by rounding; other weights may not.
        continued: LoRAs that training continued (`lora.continues`). Their rounded files were subtracted from the
            weights, so their rounding is allowed as well.

    Raises:
        ValueError: a weight or a setting differs. It was trained, but is not among the released ones.
    """
    released = MicroEmoForConditionalGeneration.from_pretrained(assembled)
    expected = MicroEmoForConditionalGeneration.from_pretrained(trained)
    _check_config(released.config.to_dict(), expected=expected.config.to_dict())
    weights, trained_weights = released.state_dict(), expected.state_dict()
    if weights.keys() != trained_weights.keys():
        different = sorted(weights.keys() ^ trained_weights.keys())
        raise ValueError(f"the released and the trained model differ in weights: {different}")
    tolerances = _rounding_tolerances(checkpoint, loras=[*checkpoint.loras.values(), *continued])
    for key, value in trained_weights.items():
        exact = value.float()
        tolerance = FLOAT_TOLERANCE + torch.finfo(expected.dtype).eps * exact.abs()
        tolerance = tolerance + tolerances.get(key, torch.zeros(()))
        difference = (weights[key].float() - exact).abs()
        if not (difference <= tolerance).all():
            raise ValueError(
                f"{key} was trained to values that are not released: the largest difference is "
                f"{difference.max():.3g}, the tolerance {tolerance.max():.3g}"
            )


def _rounding_tolerances(checkpoint: TrainedCheckpoint, *, loras: Sequence[Lora]) -> dict[str, torch.Tensor]:
    """Largest rounding error of each weight that is stored in lower precision."""
    tolerances = {
        key: torch.finfo(value.dtype).eps * value.float().abs()
        for key, value in checkpoint.state_dict.items()
        if value.is_floating_point()
    }
    for lora in loras:
        for module, (down, up) in lora.factors.items():
            size = abs(lora.scale) * up.float().abs() @ down.float().abs()
            name, rounding = f"{module}.weight", LORA_ROUNDINGS * torch.finfo(down.dtype).eps * size
            tolerances[name] = tolerances.get(name, torch.zeros(())) + rounding
    return tolerances


def _check_config(config: Mapping[str, Any], *, expected: Mapping[str, Any]) -> None:
    released, trained = dict(_settings(config)), dict(_settings(expected))
    for path in sorted(released.keys() | trained.keys()):
        if released.get(path) != trained.get(path):
            raise ValueError(
                f"the model was trained with {path} = {trained.get(path)!r}, but microemo-mini has "
                f"{released.get(path)!r}"
            )


def _settings(config: Mapping[str, Any], *, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if name in IGNORED_SETTINGS:
            continue
        if isinstance(value, Mapping):
            yield from _settings({str(key): inner for key, inner in value.items()}, path=f"{path}{name}.")
        else:
            yield f"{path}{name}", value
