"""Combines original tensors into target tensors: LoRA, split biases, extended tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from microemo.conversion.mini.lora_files import merge_lora
from microemo.conversion.mini.mini_model import extend_embedding
from microemo.conversion.timechat.key_rules import WHOLE

QUERY_BIAS, VALUE_BIAS = "query_bias", "value_bias"  # EVA's attention has no key bias
LORA_DOWN, LORA_UP = "lora_down", "lora_up"  # A (r, in) and B (out, r)
FRAME_TABLE = "frame_table"  # one vector per frame
VOCABULARY = "vocabulary"  # one vector per token


@dataclass(frozen=True)
class Combiner:
    """Combines the parts of a target tensor. `lora_alpha` divided by the rank is the scale of a LoRA product."""

    lora_alpha: float

    def __call__(self, parts: Mapping[str, torch.Tensor], *, shape: tuple[int, ...]) -> torch.Tensor:
        """Returns the tensor of `shape`; raises `ValueError` for parts that cannot be combined."""
        names = set(parts)
        if names == {WHOLE}:
            return parts[WHOLE]
        if names == {FRAME_TABLE}:
            return interpolate_frames(parts[FRAME_TABLE], count=shape[0])
        if names == {VOCABULARY}:
            return extend_embedding(parts[VOCABULARY], rows=shape[0])
        if names == {QUERY_BIAS, VALUE_BIAS}:
            return join_biases(parts[QUERY_BIAS], parts[VALUE_BIAS])
        if names == {WHOLE, LORA_DOWN, LORA_UP}:
            scale = self.lora_alpha / len(parts[LORA_DOWN])
            return merge_lora(parts[WHOLE], down=parts[LORA_DOWN], up=parts[LORA_UP], scale=scale)
        raise ValueError(f"a tensor cannot be made of {sorted(parts)} alone")


def join_biases(query_bias: torch.Tensor, value_bias: torch.Tensor) -> torch.Tensor:
    """Query bias (D,) and value bias (D,) -> bias (3 D,) of queries, keys and values."""
    return torch.cat((query_bias, torch.zeros_like(query_bias), value_bias))


def interpolate_frames(table: torch.Tensor, *, count: int) -> torch.Tensor:
    """(T, D) -> (count, D) by nearest neighbour, as TimeChat extends Video-LLaMA's 32 positions to 96."""
    if len(table) == count:
        return table
    return F.interpolate(table.T.unsqueeze(0), size=count, mode="nearest").squeeze(0).T
