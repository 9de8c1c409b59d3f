"""Which parameters are trained, with which learning rate and weight decay."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from microemo.strict_loading import UNQUANTIZED_PARTS

# Modules of `MicroEmoModel`, the parts that a recipe names.
PARTS = (*UNQUANTIZED_PARTS, "language_model")
LORA_WEIGHT = re.compile(r"\.lora_")
# Vectors, biases and scales are not shrunk, nor what is looked up rather than multiplied.
NO_DECAY_NAME = re.compile(r"bias|norm|embed|queries|null_key|gate", re.IGNORECASE)


def check_parts(parts: Sequence[str]) -> None:
    """Raises `ValueError` for names that are no part."""
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(f"parts has {unknown}; allowed are {', '.join(PARTS)}")


def train_only(model: nn.Module, *, parts: Sequence[str], frozen: Sequence[str] = ()) -> None:
    """Freezes everything but the named parts and the weights of adapters.

    Args:
        frozen: modules inside of the parts that stay as they are, such as "face_head.static_expression".

    Raises `ValueError` for a part that this model does not have, such as the face's without a local branch.
    """
    check_parts(parts)
    for name, parameter in model.named_parameters():
        trained = part_of(name) in parts and not any(_is_inside(name, module) for module in frozen)
        parameter.requires_grad_(trained and _is_used(name) or bool(LORA_WEIGHT.search(name)))
    owned = {part_of(name) for name, _ in model.named_parameters()}
    absent = sorted(set(parts) - owned)
    if absent:
        raise ValueError(f"parts has {absent}, which this model was built without")


def part_of(name: str) -> str | None:
    """The part that a parameter belongs to, by its name, also inside adapters and wrappers."""
    return next((step for step in name.split(".") if step in PARTS), None)


def _is_inside(name: str, module: str) -> bool:
    """Whether a parameter belongs to a module, whatever wrappers stand between the steps of its name."""
    pattern = r"(?:\.|^)" + r"\.(?:[\w.]+\.)?".join(map(re.escape, module.split("."))) + r"\."
    return re.search(pattern, name) is not None


def _is_used(name: str) -> bool:
    """PEFT keeps the weights that a saved module had before; only its own copy of them is trained."""
    return ".original_module." not in name


def parameter_groups(
    model: nn.Module, *, weight_decay: float, learning_rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """The optimizer's groups of what is trained.

    Args:
        weight_decay: of matrices; vectors, norms, embeddings and gates have none.
        learning_rates: of parts that differ from the others, and of "lora"; a group without "lr" has the default one.
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
