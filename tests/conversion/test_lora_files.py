"""LoRA files: round trip, and refused incomplete files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from microemo.conversion.mini.lora_files import Lora, is_lora, merge_lora, read_lora, write_lora

RANK, ALPHA = 2, 6.0
METADATA = {"rank": "2", "alpha": "6.0"}


def _lora(*modules: str, rank: int = RANK, alpha: float = ALPHA) -> Lora:
    """A LoRA of weights (3, 4)."""
    return Lora(rank, alpha, {name: (torch.randn(rank, 4), torch.randn(3, rank)) for name in modules})


def _factors() -> dict[str, torch.Tensor]:
    return {"layer.lora_A.weight": torch.ones(2, 4), "layer.lora_B.weight": torch.ones(3, 2)}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.0), (torch.float16, 2**-11)])
def test_write_and_read(tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    lora = _lora("first", "second")
    write_lora(tmp_path / "lora.safetensors", lora=lora, dtype=dtype)
    found = read_lora(tmp_path / "lora.safetensors")
    assert (found.rank, found.alpha, found.factors.keys()) == (RANK, ALPHA, lora.factors.keys())
    for module, expected in lora.factors.items():
        for factor, original in zip(found.factors[module], expected, strict=True):
            assert factor.dtype == dtype
            torch.testing.assert_close(factor.float(), original, rtol=tolerance, atol=0)
        assert found.shape(module) == (3, 4)


def test_lora_is_merged_in_float32() -> None:
    """In half precision 1 + 1e-4 would be 1."""
    down, up = torch.tensor([[1.0]]).half(), torch.tensor([[0.5]]).half()
    merged = merge_lora(torch.ones(1, 1).half(), down=down, up=up, scale=2e-4)
    torch.testing.assert_close(merged, torch.tensor([[1.0001]]), rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    ("change", "metadata", "message"),
    [
        ({"layer.lora_B.weight": None}, METADATA, r"holds layer\.lora_A\.weight, but lacks layer\.lora_B\.weight"),
        ({"layer.lora_A.weight": None}, METADATA, r"holds layer\.lora_B\.weight, but lacks layer\.lora_A\.weight"),
        ({"layer.bias": torch.ones(3)}, METADATA, r"holds layer\.bias, which is no factor"),
        ({"layer.lora_A.weight": torch.ones(5, 4)}, METADATA, r"rank 2, but layer\.lora_A\.weight has shape \(5, 4\)"),
        ({}, {"rank": "3", "alpha": "6"}, r"rank 3, but .* \(2, 4\) and layer\.lora_B\.weight \(3, 2\)"),
        ({"layer.lora_B.weight": torch.ones(2)}, METADATA, r"layer\.lora_B\.weight \(2,\)"),
        ({}, {"rank": "2"}, "must have rank and alpha in its metadata"),
        ({}, {"rank": "two", "alpha": "6"}, "must have rank and alpha in its metadata"),
        ({}, {"rank": "0", "alpha": "6"}, "rank >= 1 and a finite alpha, got 0 and 6.0"),
        ({}, {"rank": "2", "alpha": "nan"}, "rank >= 1 and a finite alpha, got 2 and nan"),
    ],
)
def test_incomplete_files_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor | None], metadata: dict[str, str], message: str
) -> None:
    tensors = {key: value for key, value in (_factors() | change).items() if value is not None}
    save_file(tensors, tmp_path / "the_lora.safetensors", metadata=metadata)
    with pytest.raises(ValueError, match=r"the_lora\.safetensors .*" + message):
        read_lora(tmp_path / "the_lora.safetensors")


def test_is_lora() -> None:
    assert is_lora(["a.bias", "a.lora_A.weight"])
    assert not is_lora(["a.bias", "a.weight", "lora_A.bias"])
