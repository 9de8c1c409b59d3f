"""Reads, writes and merges LoRA files in the safetensors format.

<module>.lora_A.weight    (r, in), any float type
<module>.lora_B.weight    (out, r)
metadata                  `rank` and `alpha`, the same for all modules of the file

The merged weight of a module is W + alpha / rank * B A.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

SUFFIXES = (".lora_A.weight", ".lora_B.weight")


@dataclass(frozen=True)
class Lora:
    """`factors` maps the name of each changed module to its A (r, in) and B (out, r)."""

    rank: int
    alpha: float
    factors: Mapping[str, tuple[torch.Tensor, torch.Tensor]]

    @property
    def scale(self) -> float:
        """The factor alpha / rank of the product."""
        return self.alpha / self.rank

    def shape(self, module: str) -> tuple[int, int]:
        """Returns (out, in) of the module's weight."""
        down, up = self.factors[module]
        return up.shape[0], down.shape[1]

    def merged(self, module: str, *, weight: torch.Tensor) -> torch.Tensor:
        """Returns the module's `weight` (out, in) with the LoRA merged, in float32."""
        down, up = self.factors[module]
        return merge_lora(weight, down=down, up=up, scale=self.scale)


def merge_lora(weight: torch.Tensor, *, down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    """weight (out, in) + scale * up (out, r) @ down (r, in), in float32 to keep small changes."""
    return torch.addmm(weight.float(), up.float(), down.float(), alpha=scale)


def write_lora(path: Path, *, lora: Lora, dtype: torch.dtype) -> None:
    """Writes a LoRA file with the factors in `dtype`."""
    tensors = {
        f"{module}{suffix}": factor.detach().to("cpu", dtype).contiguous()
        for module, factors in lora.factors.items()
        for suffix, factor in zip(SUFFIXES, factors, strict=True)
    }
    metadata = {"format": "pt", "rank": str(lora.rank), "alpha": repr(float(lora.alpha))}
    save_file(tensors, path, metadata=metadata)


def is_lora(keys: Iterable[str]) -> bool:
    """Whether any key of a file is that of a LoRA factor."""
    return any(key.endswith(SUFFIXES) for key in keys)


def read_lora(path: Path) -> Lora:
    """Reads a LoRA file. Keys that are no factors, incomplete pairs and differing ranks raise `ValueError`."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no mapping
        rank, alpha = _rank_and_alpha(file.metadata() or {}, path=path)
    factors = {}
    for key in sorted(tensors):
        module = key.removesuffix(SUFFIXES[0]).removesuffix(SUFFIXES[1])
        pair = [module + suffix for suffix in SUFFIXES]
        if key not in pair:
            raise ValueError(f"{path} holds {key}, which is no factor of a LoRA, beside such factors")
        for missing in set(pair) - tensors.keys():
            raise ValueError(f"{path} holds {key}, but lacks {missing}")
        down, up = (tensors[name] for name in pair)
        if down.ndim != 2 or up.ndim != 2 or not len(down) == up.shape[1] == rank:
            raise ValueError(
                f"{path} says rank {rank}, but {pair[0]} has shape {tuple(down.shape)} and {pair[1]} {tuple(up.shape)}"
            )
        factors[module] = (down, up)
    return Lora(rank=rank, alpha=alpha, factors=factors)


def _rank_and_alpha(metadata: Mapping[str, str], *, path: Path) -> tuple[int, float]:
    try:
        rank, alpha = int(metadata["rank"]), float(metadata["alpha"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} must have rank and alpha in its metadata, got {dict(metadata)}") from error
    if rank < 1 or not math.isfinite(alpha):
        raise ValueError(f"{path} must have a rank >= 1 and a finite alpha, got {rank} and {alpha}")
    return rank, alpha
