"""`TrainingArguments` of a recipe, with the precision that the machine supports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import HfArgumentParser, TrainingArguments
from transformers.utils import logging

from microemo.placement import has_bfloat16
from microemo.training.recipe import Recipe

logger = logging.get_logger(__name__)

# Required by this package's batches; a recipe may not change them.
FIXED_ARGUMENTS = {"remove_unused_columns": False, "label_names": ["labels"]}
DEFAULT_ARGUMENTS = {"report_to": ["tensorboard"], "logging_steps": 10, "save_total_limit": 2}


def training_arguments(recipe: Recipe) -> TrainingArguments:
    """The recipe's `training` section over this package's defaults.

    Raises:
        ValueError: an argument does not exist or is one of `FIXED_ARGUMENTS`.
    """
    fixed = sorted(set(recipe.training) & set(FIXED_ARGUMENTS))
    if fixed:
        raise ValueError(f"training may not set {fixed}: {FIXED_ARGUMENTS}")
    values = {**DEFAULT_ARGUMENTS, **supported_precision(recipe.training), **FIXED_ARGUMENTS}
    parser = HfArgumentParser([TrainingArguments])  # type: ignore[list-item]  # a dataclass by its decorator
    (arguments,) = parser.parse_dict(values)
    return arguments


def supported_precision(training: Mapping[str, Any]) -> dict[str, Any]:
    """Disables `bf16`, with a warning, on a CPU without bfloat16 instructions, where it is a hundred times slower.

    With AVX512-BF16 a step of the language model takes half as long as in float32; weights and sums stay float32.
    """
    on_accelerator = torch.accelerator.is_available() and not training.get("use_cpu")
    if not training.get("bf16") or on_accelerator:
        return dict(training)
    if has_bfloat16():
        return {**training, "use_cpu": True}  # transformers accepts bf16 on a CPU only with use_cpu
    logger.warning("bf16: this CPU has no bfloat16 instructions; float32 is used, which is faster here and more exact")
    return {**training, "bf16": False}
