"""Freezing of parameters, and the optimizer's parameter groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from microemo.strict_loading import UNQUANTIZED_PARTS

# Submodules of `MicroEmoModel` that a recipe can name.
PARTS = (*UNQUANTIZED_PARTS, "language_model")
LORA_WEIGHT = re.compile(r"\.lora_")
# Vectors, biases, norms and embeddings have no weight decay.
NO_DECAY_NAME = re.compile(r"bias|norm|embed|queries|null_key|gate", re.IGNORECASE)


def check_parts(parts: Sequence[str]) -> None:
    """Raises `ValueError` for names that are not in `PARTS`."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(f"parts has {unknown}; allowed are {', '.join(PARTS)}")


def train_only(model: nn.Module, *, parts: Sequence[str], frozen: Sequence[str] = ()) -> None:
    """Freezes every parameter outside of the named parts and of the LoRA adapters.

    Args:
        frozen: submodules of the parts that are frozen too, such as "face_head.static_expression".

    Raises:
        ValueError: the model does not have a part, such as "face_head" without a local branch.
    """
    check_parts(parts)
    for name, parameter in model.named_parameters():
        trained = part_of(name) in parts and not any(_is_inside(name, module) for module in frozen)
        parameter.requires_grad_(trained and _is_used(name) or bool(LORA_WEIGHT.search(name)))
    model_parts = {part_of(name) for name, _ in model.named_parameters()}
    absent = sorted(set(parts) - model_parts)
    if absent:
        raise ValueError(f"parts has {absent}, which this model was built without")


def part_of(name: str) -> str | None:
    """The part of a parameter, from its name; also for names inside adapters and wrappers."""
    return next((step for step in name.split(".") if step in PARTS), None)


def _is_inside(name: str, module: str) -> bool:
    """Whether a parameter belongs to a module; wrapper names between the steps of the path are ignored."""
    pattern = r"(?:\.|^)" + r"\.(?:[\w.]+\.)?".join(map(re.escape, module.split("."))) + r"\."
    return re.search(pattern, name) is not None


def _is_used(name: str) -> bool:
    """False for PEFT's frozen copy of a module in `modules_to_save`; only the other copy is trained."""
    return ".original_module." not in name


def parameter_groups(
    model: nn.Module, *, weight_decay: float, learning_rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Optimizer groups of the trainable parameters.

    Args:
        weight_decay: of matrices; vectors, norms, embeddings and gates have none.
        learning_rates: of single parts and of "lora"; the other groups have no "lr" and use the optimizer's default.
    """
    learning_rates = dict(learning_rates or {})
    check_parts([part for part in learning_rates if part != "lora"])
    groups: dict[tuple[float | None, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.ndim < 2 or NO_DECAY_NAME.search(name) else weight_decay
            part = "lora" if LORA_WEIGHT.search(name) else part_of(name)
            groups.setdefault((learning_rates.get(part or ""), decay), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, **({} if rate is None else {"lr": rate})}
        for (rate, decay), parameters in groups.items()
    ]
