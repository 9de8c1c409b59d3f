"""Multi-head attention with boolean masks for the Q-Formers and the micro-dynamics layers.

The masks (segments, time bands) are neither causal nor plain padding, which flash kernels do not support. Every
implementation other than "eager" therefore runs through `scaled_dot_product_attention`.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    mask: torch.Tensor | None,
    implementation: str | None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Softmax attention. Every query must see at least one key.

    Args:
        query: (..., H, L, d). key, value: (..., H, S, d).
        mask: bool, broadcasts to (..., H, L, S), True where a query sees a key.
        implementation: "eager", or anything else for the fused kernels.
        dropout: probability of dropping a weight.

    Returns:
        (..., H, L, d).
    """
    if implementation != "eager":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    return F.dropout(weights, p=dropout) @ value


def split_heads(states: torch.Tensor, *, num_heads: int) -> torch.Tensor:
    """(..., L, D) -> (..., H, L, D / H)."""
    return states.unflatten(-1, (num_heads, -1)).transpose(-2, -3)


def merge_heads(states: torch.Tensor) -> torch.Tensor:
    """(..., H, L, d) -> (..., L, H * d)."""
    return states.transpose(-2, -3).flatten(-2)


class AttentionProjections(nn.Module):
    """Query, key, value and output projections.

    Args:
        config: provides hidden_size, num_attention_heads and attention_probs_dropout_prob. The attention
            implementation is read from it at call time.
        key_size: width of the keys and values; None: that of the queries.
    """

    def __init__(self, config: Any, *, key_size: int | None = None):
        super().__init__()
        self.config = config
        self.num_heads = config.num_attention_heads
        key_size = config.hidden_size if key_size is None else key_size
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(key_size, config.hidden_size)
        self.v_proj = nn.Linear(key_size, config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)

    @property
    def dropout(self) -> float:
        return self.config.attention_probs_dropout_prob if self.training else 0.0


class MultiHeadAttention(AttentionProjections):
    """Multi-head attention of states to keys; the keys also provide the values."""

    def forward(self, states: torch.Tensor, keys: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
        """states (..., L, D), keys (..., S, E), mask bool that broadcasts to (..., L, S) -> (..., L, D)."""
        mixed = attend(
            split_heads(self.q_proj(states), num_heads=self.num_heads),
            split_heads(self.k_proj(keys), num_heads=self.num_heads),
            split_heads(self.v_proj(keys), num_heads=self.num_heads),
            mask=None if mask is None else mask.unsqueeze(-3),
            implementation=self.config._attn_implementation,
            dropout=self.dropout,
        )
        return self.o_proj(merge_heads(mixed))
