"""TimeChat's LoRA: completeness check, and saving as a separate PEFT adapter."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.timechat.key_rules import KEYS_IN_AN_ERROR, WHOLE, ConversionPlan
from microemo.conversion.timechat.sharded_writer import write_json
from microemo.conversion.timechat.tensor_parts import LORA_DOWN, LORA_UP
from microemo.conversion.timechat.weight_files import StoredTensor

ADAPTER_FOLDER = "adapter"
DROPOUT = 0.1  # in TimeChat's training
LORA_NAMES = {LORA_DOWN: "lora_A", LORA_UP: "lora_B"}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")  # with LoRA in every layer of TimeChat's LLaMA


def missing_lora(plan: ConversionPlan, *, config: MicroEmoConfig) -> tuple[str, ...]:
    """Returns the matrices of the language model that have a LoRA in TimeChat but not in these files.

    Video-LLaMA, which has no timestamps, was trained without LoRA: nothing is missing there.
    """
    if config.timestamp != "text":
        return ()
    matrices = [
        f"layers.{layer}.self_attn.{projection}"
        for layer in range(config.text_config.num_hidden_layers)
        for projection in PROJECTIONS
    ]
    recipes = [plan.recipes.get(f"model.language_model.{matrix}.weight", {}) for matrix in matrices]
    return tuple(m for m, parts in zip(matrices, recipes, strict=True) if not {LORA_DOWN, LORA_UP} <= parts.keys())


def check_lora(plan: ConversionPlan, *, config: MicroEmoConfig, strict: bool) -> tuple[str, ...]:
    """Returns `missing_lora` and warns if there is any; with `strict` raises `ValueError` instead.

    A file with an incomplete LoRA converts without errors, but to another model.
    """
    missing = missing_lora(plan, config=config)
    if missing:
        total = config.text_config.num_hidden_layers * len(PROJECTIONS)
        more = f" and {len(missing) - KEYS_IN_AN_ERROR} more" if len(missing) > KEYS_IN_AN_ERROR else ""
        message = (
            f"the files hold LoRA for {total - len(missing)} of the {total} attention matrices of the language model "
            f"that TimeChat adapts; not adapted: {', '.join(missing[:KEYS_IN_AN_ERROR])}{more}"
        )
        if strict:
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)
    return missing


def split_adapter(plan: ConversionPlan) -> tuple[ConversionPlan, dict[str, dict[str, str]]]:
    """Returns the plan without LoRA, and the LoRA parts of each target key."""
    adapter, recipes = {}, {}
    for key, parts in plan.recipes.items():
        factors = {part: source for part, source in parts.items() if part in LORA_NAMES}
        rest = {part: source for part, source in parts.items() if part not in LORA_NAMES}
        if factors and (set(factors) != set(LORA_NAMES) or set(rest) != {WHOLE}):
            raise ValueError(f"{key} has {sorted(parts)}; LoRA needs both factors and the tensor that they change")
        if factors:
            adapter[key] = factors
        recipes[key] = rest
    if not adapter:
        raise ValueError('lora="adapter", but the files hold no LoRA')
    return replace(plan, recipes=recipes), adapter


def write_adapter(
    folder: Path,
    *,
    parts: Mapping[str, Mapping[str, str]],
    stored: Mapping[str, StoredTensor],
    lora_alpha: float,
) -> None:
    """Writes `adapter/` into the model's folder, in the format of PEFT and in the original precision.

    Args:
        folder: Of the model.
        parts: For each adapted target key the original key of each factor.
        stored: The original tensors.
        lora_alpha: Divided by the rank, the scale of the product.
    """
    tensors = {}
    for key, factors in parts.items():
        module = key.removesuffix(".weight")
        for part, source in factors.items():
            tensors[f"base_model.model.{module}.{LORA_NAMES[part]}.weight"] = (
                stored[source].load().contiguous().clone()
            )
    modules = sorted(key.removesuffix(".weight") for key in parts)
    ranks = {stored[factors[LORA_DOWN]].shape[0] for factors in parts.values()}
    if len(ranks) > 1:
        raise ValueError(f"the LoRA factors are of different ranks: {sorted(ranks)}")
    target = folder / ADAPTER_FOLDER
    target.mkdir(exist_ok=True)
    save_file(tensors, target / "adapter_model.safetensors", metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": ranks.pop(),
        "lora_alpha": lora_alpha,
        "lora_dropout": DROPOUT,
        "bias": "none",
        "inference_mode": True,
        # Full names, as the Q-Formers have layers of the same short names.
        "target_modules": modules,
    }
    write_json(target / "adapter_config.json", settings)
