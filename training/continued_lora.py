"""A LoRA that a model already has in its weights is trained on: taken out of them, and the adapter begins with it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from microemo.conversion.mini.lora_files import Lora, merge_lora, read_lora
from microemo.training.adapters import adapted_modules
from microemo.training.recipe import LoraRecipe


def continued_lora(recipe: LoraRecipe | None) -> Lora | None:
    """The LoRA that a recipe trains on; None where it begins a new one.

    Raises `ValueError` for a file that is missing or of another rank or alpha than the recipe says.
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


def take_out(model: nn.Module, *, lora: Lora) -> None:
    """Takes from the weights what the LoRA once added to them.

    Raises `ValueError` for a module that the model does not have.
    """
    own = model.state_dict()
    with torch.no_grad():
        for module, (down, up) in lora.factors.items():
            if f"{module}.weight" not in own:
                raise ValueError(f"lora.continues changes {module}, which the model does not have")
            weight = own[f"{module}.weight"]
            weight.copy_(merge_lora(weight, down=down, up=up, scale=-lora.scale))


def begin_with(adapted: nn.Module, *, lora: Lora) -> None:
    """Gives the adapters of a `PeftModel` the LoRA's factors.

    Raises `ValueError` where the two change other modules.
    """
    adapters = dict(adapted_modules(adapted))
    if adapters.keys() != lora.factors.keys():
        raise ValueError(f"lora.targets differ from lora.continues in {sorted(adapters.keys() ^ lora.factors.keys())}")
    with torch.no_grad():
        for name, (down, up) in lora.factors.items():
            adapters[name].lora_A["default"].weight.copy_(down)
            adapters[name].lora_B["default"].weight.copy_(up)
