"""Which precision a machine trains in: bfloat16 on a CPU without instructions for it is a hundred times slower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers.utils import logging

from microemo.placement import has_bfloat16

logger = logging.get_logger(__name__)


def fitting_precision(training: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `TrainingArguments` with `bf16` off, and a warning, where it would only cost time.

    A step of the language model takes half as long with AVX512-BF16 as in float32; weights and sums stay float32.
    """
    on_accelerator = torch.accelerator.is_available() and not training.get("use_cpu")
    if not training.get("bf16") or on_accelerator:
        return dict(training)
    if has_bfloat16():
        return {**training, "use_cpu": True}  # transformers takes bf16 on a CPU only where the CPU was asked for
    logger.warning("bf16: this CPU has no instructions for it; float32 is used, which is faster here and more exact")
    return {**training, "bf16": False}
