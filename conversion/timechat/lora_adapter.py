"""TimeChat's LoRA kept apart, as an adapter that PEFT loads onto the converted model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from microemo.conversion.timechat.key_rules import WHOLE, ConversionPlan
from microemo.conversion.timechat.sharded_writer import write_json
from microemo.conversion.timechat.tensor_parts import LORA_DOWN, LORA_UP
from microemo.conversion.timechat.weight_files import StoredTensor

ADAPTER_FOLDER = "adapter"
DROPOUT = 0.1  # of TimeChat's training
LORA_NAMES = {LORA_DOWN: "lora_A", LORA_UP: "lora_B"}


def split_adapter(plan: ConversionPlan) -> tuple[ConversionPlan, dict[str, dict[str, str]]]:
    """Returns the plan without LoRA, and the LoRA parts of each of our keys."""
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
    """Writes `adapter/` into the model's folder, in PEFT's layout and in the original precision.

    Args:
        folder: Of the model.
        parts: For each adapted weight of ours the original key of each factor.
        stored: The original tensors.
        lora_alpha: Over the rank, the weight of the product.
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
        # Whole names: the Q-Formers have layers of the same short names.
        "target_modules": modules,
    }
    write_json(target / "adapter_config.json", settings)
