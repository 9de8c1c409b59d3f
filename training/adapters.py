"""LoRA and QLoRA on the language model, with the other trained parts in the same adapter."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from microemo.conversion.mini.lora_files import Lora
from microemo.training.parameter_groups import PARTS
from microemo.training.recipe import LoraRecipe

try:
    import peft
except ImportError:
    peft = None  # type: ignore[assignment]


def add_lora(model: PreTrainedModel, *, lora: LoraRecipe, parts: Sequence[str]) -> Any:
    """The model with adapters, as a `PeftModel`.

    Args:
        parts: trained as a whole; they are saved with the adapter, so that adapter and base give back everything.
    """
    if peft is None:
        raise ImportError("LoRA needs PEFT: pip install microemo[train]")
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora_targets(lora.targets),
        modules_to_save=list(parts) or None,
    )
    return peft.get_peft_model(model, config)


def lora_targets(projections: Sequence[str]) -> str:
    """Pattern of the projections' names inside the language model alone: towers have layers of the same names."""
    return r".*language_model\.(?:.*\.)?(?:" + "|".join(map(re.escape, projections)) + ")"


def quantization_config(settings: dict[str, Any]) -> BitsAndBytesConfig:
    """How the language model's weights are quantized; towers, Q-Formers and heads stay as they are.

    Raises `ImportError` where bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError("model.quantization needs bitsandbytes: pip install bitsandbytes")
    # Full names: transformers compares from the beginning of a module's name.
    kept = [*(f"model.{part}" for part in PARTS if part != "language_model"), "lm_head"]
    settings = {"llm_int8_skip_modules": kept, **settings}
    for name in ("bnb_4bit_compute_dtype", "bnb_4bit_quant_storage"):
        if isinstance(settings.get(name), str):
            settings[name] = getattr(torch, settings[name])
    return BitsAndBytesConfig(**settings)


def merged_adapter(base: PreTrainedModel, *, folder: Path) -> tuple[Any, Lora]:
    """The model with the adapter of a folder merged into it, and the adapter's matrices."""
    adapted = peft.PeftModel.from_pretrained(base, folder)
    lora = lora_weights(adapted)
    return adapted.merge_and_unload(), lora


def adapted_modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The modules that have adapters, by the names that they have without."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            yield name.removeprefix("base_model.model."), module


def lora_weights(model: nn.Module) -> Lora:
    """The adapters' matrices by the names that their modules have without adapters.

    Raises `ValueError` for adapters of several ranks or scales, and where there is none.
    """
    factors, kinds = {}, set()
    for name, module in adapted_modules(model):
        down, up = (getattr(module, matrix)["default"].weight.detach().clone() for matrix in ("lora_A", "lora_B"))
        factors[name] = (down, up)
        kinds.add((len(down), module.scaling["default"]))
    if len(kinds) != 1:
        raise ValueError(f"the model must have adapters of one rank and scale, got {sorted(kinds)}")
    rank, scale = kinds.pop()
    return Lora(rank=rank, alpha=scale * rank, factors=factors)
