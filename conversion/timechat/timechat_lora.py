"""Is TimeChat's LoRA whole? A file that has lost some of it converts well and answers as another model."""

from __future__ import annotations

import warnings

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.timechat.key_rules import KEYS_IN_AN_ERROR, ConversionPlan
from microemo.conversion.timechat.tensor_parts import LORA_DOWN, LORA_UP

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")  # that TimeChat's training adapts in every layer of LLaMA


def lost_lora(plan: ConversionPlan, *, config: MicroEmoConfig) -> tuple[str, ...]:
    """Returns the matrices of the language model that TimeChat's training adapts and these files do not.

    Video-LLaMA, whose frames have no sentence of their time, was trained without LoRA: nothing is lost there.
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
    """Returns what `lost_lora` does, and warns of it with the count; with `strict` raises `ValueError` instead."""
    lost = lost_lora(plan, config=config)
    if lost:
        total = config.text_config.num_hidden_layers * len(PROJECTIONS)
        more = f" and {len(lost) - KEYS_IN_AN_ERROR} more" if len(lost) > KEYS_IN_AN_ERROR else ""
        message = (
            f"the files hold LoRA for {total - len(lost)} of the {total} attention matrices of the language model "
            f"that TimeChat adapts; not adapted: {', '.join(lost[:KEYS_IN_AN_ERROR])}{more}"
        )
        if strict:
            raise ValueError(message)
        warnings.warn(message, stacklevel=2)
    return lost
