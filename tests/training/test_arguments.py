"""bf16 is used only on hardware that supports it."""

import pytest
import torch

from microemo.training.arguments import supported_precision


@pytest.fixture
def machine(monkeypatch):
    def patch(*, accelerator: bool, **capabilities: bool) -> None:
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, **capabilities})

    return patch


def test_bf16_is_disabled_on_cpu_without_bfloat16(machine):
    machine(accelerator=False)
    assert supported_precision({"bf16": True, "seed": 1}) == {"bf16": False, "seed": 1}


@pytest.mark.parametrize(
    ("accelerator", "capabilities", "expected"),
    [
        (True, {}, {}),
        (False, {"amx_bf16": True}, {"use_cpu": True}),
        (False, {"avx512_bf16": True}, {"use_cpu": True}),
    ],
)
def test_bf16_is_kept_on_supporting_hardware(machine, accelerator, capabilities, expected):
    """On a CPU, transformers accepts bf16 only with use_cpu."""
    machine(accelerator=accelerator, **capabilities)
    assert supported_precision({"bf16": True}) == {"bf16": True, **expected}


def test_use_cpu_ignores_the_accelerator(machine):
    machine(accelerator=True)
    assert supported_precision({"bf16": True, "use_cpu": True})["bf16"] is False


def test_recipe_without_bf16_is_unchanged(machine):
    machine(accelerator=False)
    assert supported_precision({"learning_rate": 1e-3}) == {"learning_rate": 1e-3}
