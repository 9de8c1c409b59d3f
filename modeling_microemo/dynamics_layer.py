"""Micro-dynamics transformer layer: attention over time per region, then across the regions of a time step."""

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import AttentionProjections, MultiHeadAttention, attend, merge_heads, split_heads
from .configuration_microemo import MicroEmoDynamicsConfig
from .time_band import TimeBand
from .time_embedding import rotate_by_time


class TemporalAttention(AttentionProjections):
    """Each region attends to itself at the time steps within the window. Scores depend on time differences."""

    def forward(self, states: torch.Tensor, times: torch.Tensor, band: TimeBand) -> torch.Tensor:
        """states (N, R, D) at times (N,) -> (N, R, D)."""
        query, key, value = self.q_proj(states), self.k_proj(states), self.v_proj(states)
        mixed = attend(
            self._rotated(self._heads(band.queries(query)), band.queries(times)),
            self._rotated(self._heads(band.keys(key)), band.keys(times)),
            self._heads(band.keys(value)),
            mask=band.visible.repeat_interleave(states.shape[1], dim=0).unsqueeze(1),  # (G * R, 1, block, L)
            implementation=self.config._attn_implementation,
            dropout=self.dropout,
        )
        mixed = merge_heads(mixed).unflatten(0, (-1, states.shape[1]))  # (G, R, block, D)
        return self.o_proj(band.unblocked(mixed.transpose(1, 2)))

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        """(G, L, R, D) -> (G * R, H, L, d)."""
        return split_heads(states.transpose(1, 2).flatten(0, 1), num_heads=self.num_heads)

    def _rotated(self, states: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """states (G * R, H, L, d) at times (G, L)."""
        by_group = states.unflatten(0, (len(times), -1))
        window_seconds = self.config.dynamics_window_seconds
        return rotate_by_time(by_group, times[:, None, None], window_seconds=window_seconds).flatten(0, 1)


class DynamicsLayer(GradientCheckpointingLayer):
    """Pre-norm transformer layer: attention over time per region, attention across regions, feed-forward.

    Args:
        one_token: each time step has a single token; attention across regions is then replaced by a linear layer.
    """

    def __init__(self, config: MicroEmoDynamicsConfig, *, one_token: bool = False):
        super().__init__()
        self.one_token = one_token
        self.temporal_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.temporal_attention = TemporalAttention(config)
        self.region_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        if one_token:
            self.mixing = nn.Linear(config.hidden_size, config.hidden_size)
        else:
            self.region_attention = MultiHeadAttention(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: torch.Tensor, times: torch.Tensor, band: TimeBand) -> torch.Tensor:
        """states (N, R, D) at times (N,) -> (N, R, D)."""
        states = states + self.dropout(self.temporal_attention(self.temporal_norm(states), times, band))
        normed = self.region_norm(states)
        states = states + self.dropout(
            self.mixing(normed) if self.one_token else self.region_attention(normed, normed)
        )
        hidden = self.activation(self.dense(self.feed_forward_norm(states)))
        return states + self.dropout(self.output(hidden))
