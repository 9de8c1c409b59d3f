"""LoRA and QLoRA on the language model. Other trained parts are saved in the same adapter.

`lora.continues` trains on a LoRA that is already merged into a model: `subtract_lora` removes it from the weights and
`init_adapters` starts the adapters from its factors. The rank then stays that of the recipe.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from microemo.conversion.mini.lora_files import Lora, merge_lora, read_lora
from microemo.training.parameter_groups import PARTS
from microemo.training.recipe import LoraRecipe

try:
    import peft
except ImportError:
    peft = None  # type: ignore[assignment]


def add_lora(model: PreTrainedModel, *, lora: LoraRecipe, parts: Sequence[str]) -> Any:
    """Wraps the model in a `PeftModel` with LoRA adapters.

    Args:
        parts: modules that are trained in full. They are saved with the adapter, so that base model and adapter
            restore the whole trained model.
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
    """Pattern that matches the projections of the language model only: the towers have layers of the same names."""
    return r".*language_model\.(?:.*\.)?(?:" + "|".join(map(re.escape, projections)) + ")"


def quantization_config(settings: dict[str, Any]) -> BitsAndBytesConfig:
    """Config that quantizes the language model; towers, Q-Formers and heads are not quantized.

    Raises:
        ImportError: bitsandbytes is not installed.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ImportError("model.quantization needs bitsandbytes: pip install bitsandbytes")
    # Full names: transformers matches prefixes of module names.
    not_quantized = [*(f"model.{part}" for part in PARTS if part != "language_model"), "lm_head"]
    settings = {"llm_int8_skip_modules": not_quantized, **settings}
    for name in ("bnb_4bit_compute_dtype", "bnb_4bit_quant_storage"):
        if isinstance(settings.get(name), str):
            settings[name] = getattr(torch, settings[name])
    return BitsAndBytesConfig(**settings)


def merged_adapter(base: PreTrainedModel, *, folder: Path) -> tuple[Any, Lora]:
    """Merges the adapter of a folder into the model. Returns the merged model and the adapter's factors."""
    adapted = peft.PeftModel.from_pretrained(base, folder)
    lora = lora_weights(adapted)
    return adapted.merge_and_unload(), lora


def adapted_modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yields (name, module) of every module with an adapter; names as in the model without adapters."""
    for name, module in model.named_modules():
        if hasattr(module, "lora_A") and "default" in module.lora_A:
            yield name.removeprefix("base_model.model."), module


def lora_weights(model: nn.Module) -> Lora:
    """The factors of all adapters, by module names as in the model without adapters.

    Raises:
        ValueError: there is no adapter, or the adapters differ in rank or scale.
    """
    factors, ranks_and_scales = {}, set()
    for name, module in adapted_modules(model):
        down, up = (getattr(module, matrix)["default"].weight.detach().clone() for matrix in ("lora_A", "lora_B"))
        factors[name] = (down, up)
        ranks_and_scales.add((len(down), module.scaling["default"]))
    if len(ranks_and_scales) != 1:
        raise ValueError(f"the model must have adapters of one rank and scale, got {sorted(ranks_and_scales)}")
    rank, scale = ranks_and_scales.pop()
    return Lora(rank=rank, alpha=scale * rank, factors=factors)


def load_continued_lora(recipe: LoraRecipe | None) -> Lora | None:
    """Reads the LoRA of `lora.continues`; None where the recipe starts a new one.

    Raises:
        ValueError: the file is missing, or its rank or alpha differs from the recipe's.
    """
    if recipe is None or recipe.continues is None:
        return None
    path = Path(recipe.continues).expanduser()
    if not path.is_file():
        raise ValueError(f"lora.continues ({recipe.continues}) must be the file of a LoRA")
    lora = read_lora(path)
    if (lora.rank, lora.alpha) != (recipe.r, recipe.alpha):
        raise ValueError(
            f"lora.continues: {path} has r {lora.rank} and alpha {lora.alpha:g}, "
            f"the recipe {recipe.r} and {recipe.alpha}"
        )
    return lora


def subtract_lora(model: nn.Module, *, lora: Lora) -> None:
    """Subtracts a merged LoRA from the model's weights, in place.

    Raises:
        ValueError: the LoRA names a module that the model does not have.
    """
    state_dict = model.state_dict()
    with torch.no_grad():
        for module, (down, up) in lora.factors.items():
            if f"{module}.weight" not in state_dict:
                raise ValueError(f"lora.continues changes {module}, which the model does not have")
            weight = state_dict[f"{module}.weight"]
            weight.copy_(merge_lora(weight, down=down, up=up, scale=-lora.scale))


def init_adapters(adapted: nn.Module, *, lora: Lora) -> None:
    """Copies a LoRA's factors into the adapters of a `PeftModel`.

    Raises:
        ValueError: LoRA and adapters name different modules.
    """
    adapters = dict(adapted_modules(adapted))
    if adapters.keys() != lora.factors.keys():
        raise ValueError(f"lora.targets differ from lora.continues in {sorted(adapters.keys() ^ lora.factors.keys())}")
    with torch.no_grad():
        for name, (down, up) in lora.factors.items():
            adapters[name].lora_A["default"].weight.copy_(down)
            adapters[name].lora_B["default"].weight.copy_(up)
