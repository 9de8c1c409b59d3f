"""Continuing a merged LoRA leaves the model's outputs unchanged; LoRAs that do not fit are refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_public_parts import tiny_public_parts

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.mini_model import build_mini
from microemo.conversion.mini.trained_parts import TrainedCheckpoint
from microemo.training.adapters import add_lora, init_adapters, load_continued_lora, lora_weights, subtract_lora
from microemo.training.recipe import LoraRecipe

RECIPE = LoraRecipe(r=3, alpha=6, dropout=0.0, targets=("q_proj", "v_proj"))


def _model() -> MicroEmoForConditionalGeneration:
    return build_mini(tiny_public_parts(), checkpoint=TrainedCheckpoint())[0]


@pytest.fixture
def lora() -> Lora:
    """Random factors for the recipe's projections."""
    torch.manual_seed(3)
    factors = lora_weights(add_lora(_model(), lora=RECIPE, parts=[])).factors
    return Lora(3, 6.0, {name: (torch.randn_like(down), torch.randn_like(up)) for name, (down, up) in factors.items()})


@pytest.fixture
def path(lora, tmp_path) -> Path:
    write_lora(tmp_path / "lora.safetensors", lora=lora, dtype=torch.float32)
    return tmp_path / "lora.safetensors"


def _logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(6, 20)[None]).logits


def test_continued_lora_keeps_the_outputs(lora, path):
    merged, base = _model(), _model()
    state_dict = merged.state_dict()
    with torch.no_grad():
        for module in lora.factors:
            state_dict[f"{module}.weight"].copy_(lora.merged(module, weight=state_dict[f"{module}.weight"]))
    expected = _logits(merged)
    assert (expected - _logits(base)).abs().max() > 0.1
    continued = load_continued_lora(replace(RECIPE, continues=str(path)))
    subtract_lora(merged, lora=continued)
    torch.testing.assert_close(_logits(merged), _logits(base), rtol=0, atol=1e-4)
    adapted = add_lora(merged, lora=RECIPE, parts=[])
    init_adapters(adapted, lora=continued)
    torch.testing.assert_close(_logits(adapted), expected, rtol=0, atol=1e-4)


def test_new_lora_continues_none():
    assert load_continued_lora(None) is None and load_continued_lora(RECIPE) is None


def test_mismatched_lora_is_refused(lora, path):
    with pytest.raises(ValueError, match=r"lora\.continues \(nowhere\) must be the file of a LoRA"):
        load_continued_lora(replace(RECIPE, continues="nowhere"))
    with pytest.raises(ValueError, match=r"has r 3 and alpha 6, the recipe 3 and 5"):
        load_continued_lora(replace(RECIPE, alpha=5, continues=str(path)))
    with pytest.raises(ValueError, match=r"lora\.targets differ from lora\.continues in .*v_proj"):
        init_adapters(add_lora(_model(), lora=replace(RECIPE, targets=("q_proj",)), parts=[]), lora=lora)
    with pytest.raises(ValueError, match=r"changes model\.elsewhere, which the model does not have"):
        subtract_lora(_model(), lora=Lora(1, 1.0, {"model.elsewhere": (torch.ones(1, 2), torch.ones(2, 1))}))
