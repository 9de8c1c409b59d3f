"""Packed weights give equal products, only in their context and thread."""

import platform
import threading

import pytest
import torch
from tiny_model import tiny_clip, tiny_model
from torch import nn

from microemo import MicroEmoForConditionalGeneration
from microemo import packed_linears as module
from microemo.packed_linears import packed_linears

needs_onednn = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(),
    reason="weights are laid out by oneDNN on x86",
)


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 8, bias=False)).requires_grad_(False)


@pytest.mark.parametrize("shape", [(5, 24), (2, 3, 24), (1, 200, 24), (0, 24)])
def test_products_are_the_same(layers, shape):
    states = torch.randn(shape)
    wanted = layers(states)
    with torch.no_grad(), packed_linears(layers, rows=5):
        torch.testing.assert_close(layers(states), wanted, atol=1e-5, rtol=1e-5)


def doubled_inside(layers, packed):
    """Whether outputs are unchanged when the weights are doubled in the context, so that packed weights were used."""
    states = torch.randn(4, layers[0].in_features, dtype=layers[0].weight.dtype)
    before = layers(states)
    with packed_linears(packed, rows=4):
        layers[2].weight.mul_(2)
        inside = layers(states)
    torch.testing.assert_close(layers(states), 2 * before)
    return not torch.allclose(inside, before, atol=1e-4)


@needs_onednn
def test_only_packed_weights_are_replaced(layers):
    assert not doubled_inside(layers, packed=layers)
    assert doubled_inside(layers, packed=nn.Linear(24, 40))


def test_other_layers_are_unchanged(layers, monkeypatch):
    assert doubled_inside(nn.Sequential(*layers).bfloat16(), packed=layers)
    layers.float()
    layers.compile()
    assert module._packable_weights((layers,)) == []
    assert module._packable_weights((nn.Linear(3, 3, device="meta"),)) == []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert module._packable_weights((nn.Linear(3, 3),)) == []


@needs_onednn
def test_other_threads_are_unaffected(layers):
    states, seen = torch.randn(4, 24), []
    with packed_linears(layers, rows=4):
        layers[2].weight.mul_(2)
        thread = threading.Thread(target=lambda: seen.append(layers(states)))
        thread.start()
        thread.join()
    assert torch.equal(seen[0], layers(states))


@needs_onednn
def test_generation_uses_packed_weights_with_equal_results(monkeypatch):
    model = tiny_model(MicroEmoForConditionalGeneration)
    prefix = model.encode_prefix(**tiny_clip(2))
    questions = [torch.tensor([20, 21, 22]), torch.tensor([30])]
    settings = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False}
    laid_out = []
    pack = module._PackedLinears.__init__
    monkeypatch.setattr(
        module._PackedLinears,
        "__init__",
        lambda self, weights, *, rows: laid_out.append((len(weights), rows)) or pack(self, weights, rows=rows),
    )
    answers = model.generate_from_prefix(prefix, questions, **settings)
    linears = sum(isinstance(part, nn.Linear) for part in model.model.language_model.modules())
    assert laid_out == [(linears + 1, 2)]  # and the head
    monkeypatch.setattr(module, "_has_packed_product", lambda: False)
    assert torch.equal(model.generate_from_prefix(prefix, questions, **settings), answers)
