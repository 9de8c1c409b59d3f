"""bfloat16 is asked of machines that have it."""

import pytest
import torch

from microemo.training.precision import fitting_precision


@pytest.fixture
def machine(monkeypatch):
    def of(*, accelerator: bool, **capabilities: bool) -> None:
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: accelerator)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, **capabilities})

    return of


def test_a_plain_cpu_trains_in_float32(machine):
    machine(accelerator=False)
    assert fitting_precision({"bf16": True, "seed": 1}) == {"bf16": False, "seed": 1}


@pytest.mark.parametrize(
    ("accelerator", "capabilities", "asked"),
    [
        (True, {}, {}),
        (False, {"amx_bf16": True}, {"use_cpu": True}),
        (False, {"avx512_bf16": True}, {"use_cpu": True}),
    ],
)
def test_hardware_that_has_bfloat16_uses_it(machine, accelerator, capabilities, asked):
    """transformers refuses bf16 on a CPU that was not asked for."""
    machine(accelerator=accelerator, **capabilities)
    assert fitting_precision({"bf16": True}) == {"bf16": True, **asked}


def test_a_cpu_beside_an_accelerator_counts_when_it_is_used(machine):
    machine(accelerator=True)
    assert fitting_precision({"bf16": True, "use_cpu": True})["bf16"] is False


def test_what_did_not_ask_for_it_stays(machine):
    machine(accelerator=False)
    assert fitting_precision({"learning_rate": 1e-3}) == {"learning_rate": 1e-3}
