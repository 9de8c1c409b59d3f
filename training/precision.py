"""Which precision a machine trains in: bfloat16 on a CPU without instructions for it is a hundred times slower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers.utils import logging

logger = logging.get_logger(__name__)

BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # x86; and of ARM:
BF16_INSTRUCTIONS_ARM = ("bf16", "sve_bf16")


def bf16_is_fast(*, use_cpu: bool = False) -> bool:
    """Whether bfloat16 is computed by the hardware: on any accelerator, and on CPUs that have instructions for it."""
    if not use_cpu and torch.accelerator.is_available():
        return True
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in (*BF16_INSTRUCTIONS, *BF16_INSTRUCTIONS_ARM))


def fitting_precision(training: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `TrainingArguments` with `bf16` off, and a warning, where it would only cost time."""
    if not training.get("bf16") or bf16_is_fast(use_cpu=bool(training.get("use_cpu"))):
        return dict(training)
    logger.warning("bf16: this CPU has no instructions for it; float32 is used, which is faster here and more exact")
    return {**training, "bf16": False}
