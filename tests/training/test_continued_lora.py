"""A LoRA that is trained on: the model begins as it was, and what cannot be continued is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_public_parts import tiny_public_parts

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.mini_model import build_mini
from microemo.conversion.mini.trained_parts import TrainedCheckpoint
from microemo.training.adapters import add_lora, lora_weights
from microemo.training.continued_lora import begin_with, continued_lora, take_out
from microemo.training.recipe import LoraRecipe

RECIPE = LoraRecipe(r=3, alpha=6, dropout=0.0, targets=("q_proj", "v_proj"))


def _model() -> MicroEmoForConditionalGeneration:
    return build_mini(tiny_public_parts(), checkpoint=TrainedCheckpoint())[0]


@pytest.fixture
def lora() -> Lora:
    """Of the projections that the recipe names."""
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


def test_the_model_begins_as_it_was(lora, path):
    with_lora, without = _model(), _model()
    own = with_lora.state_dict()
    with torch.no_grad():
        for module in lora.factors:
            own[f"{module}.weight"].copy_(lora.merged(module, weight=own[f"{module}.weight"]))
    expected = _logits(with_lora)
    assert (expected - _logits(without)).abs().max() > 0.1
    read = continued_lora(replace(RECIPE, continues=str(path)))
    take_out(with_lora, lora=read)
    torch.testing.assert_close(_logits(with_lora), _logits(without), rtol=0, atol=1e-4)
    adapted = add_lora(with_lora, lora=RECIPE, parts=[])
    begin_with(adapted, lora=read)
    torch.testing.assert_close(_logits(adapted), expected, rtol=0, atol=1e-4)


def test_a_new_one_continues_nothing():
    assert continued_lora(None) is None and continued_lora(RECIPE) is None


def test_what_cannot_be_continued_is_refused(lora, path):
    with pytest.raises(ValueError, match=r"lora\.continues \(nowhere\) must be the file of a LoRA"):
        continued_lora(replace(RECIPE, continues="nowhere"))
    with pytest.raises(ValueError, match=r"has r 3 and alpha 6, the recipe 3 and 5"):
        continued_lora(replace(RECIPE, alpha=5, continues=str(path)))
    with pytest.raises(ValueError, match=r"lora\.targets differ from lora\.continues in .*v_proj"):
        begin_with(add_lora(_model(), lora=replace(RECIPE, targets=("q_proj",)), parts=[]), lora=lora)
    with pytest.raises(ValueError, match=r"changes model\.elsewhere, which the model does not have"):
        take_out(_model(), lora=Lora(1, 1.0, {"model.elsewhere": (torch.ones(1, 2), torch.ones(2, 1))}))
