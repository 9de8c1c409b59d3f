"""Micro-dynamics: how each region of a face changes within half a second."""

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import AttentionProjections, MultiHeadAttention, attend, merge_heads, split_heads
from .configuration_microemo import MicroEmoDynamicsConfig
from .motion_stem import MotionStem
from .placement import like_weight
from .time_band import TimeBand, pack_order, time_band
from .time_embedding import check_times, rotate_by_time


class TemporalAttention(AttentionProjections):
    """Each region attends to itself at the moments within the window; scores depend on time differences."""

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
    """Attention over time region by region, attention across the regions of a moment, a feed-forward; norms first."""

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        self.temporal_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.temporal_attention = TemporalAttention(config)
        self.region_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
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
        states = states + self.dropout(self.region_attention(normed, normed))
        hidden = self.activation(self.dense(self.feed_forward_norm(states)))
        return states + self.dropout(self.output(hidden))


class MicroDynamics(nn.Module):
    """Face crops -> dynamics tokens that know the moments around them: one of the movement, one of each region.

    The movement is read from optical flow (`MotionStem`) and stands first. A region enters with its feature and three
    changes: since the moment before, until the one after, and against its average within the window. The last stands
    out of the noise when the frame rate is high and the movement slow.
    """

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        self.config = config
        self.motion_stem = MotionStem(config)
        self.input_norm = nn.LayerNorm(config.encoder_hidden_size, eps=config.layer_norm_eps)
        self.feature = nn.Linear(config.encoder_hidden_size, config.hidden_size)
        self.change = nn.Linear(3 * config.hidden_size, config.hidden_size)
        self.region_embedding = nn.Embedding(config.max_regions, config.hidden_size)
        self.layers = nn.ModuleList(DynamicsLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, regions: torch.Tensor, *, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Returns the dynamics tokens (N, 1 + R, D), in the order of the crops.

        Args:
            regions: (N, R, C), R regions of each of the N crops of all clips, N >= 1. R = 0: the movement alone.
            pixel_values: (N, 3, h, w), the crops.
            times: (N,) float seconds.
            groups: (N,) long; crops of different groups (clips, persons) know nothing of each other.
        """
        check_times("face_times", times)
        if regions.shape[1] > self.config.max_regions:
            raise ValueError(
                f"the face tower gives {regions.shape[1]} regions a crop, "
                f"more than dynamics_config.max_regions ({self.config.max_regions})"
            )
        regions = like_weight(regions, self.feature.weight)  # a frozen tower may live in another precision or place
        order = pack_order(times, groups)
        times, groups = times[order], groups[order]
        band = time_band(times, groups, window_seconds=self.config.dynamics_window_seconds)
        states = self._with_change(self.feature(self.input_norm(regions[order])), band)
        motion = self.motion_stem(pixel_values[order], times=times, groups=groups)
        states = torch.cat((motion.unsqueeze(1), states), dim=1)
        for layer in self.layers:
            states = layer(states, times, band)
        return self.norm(states)[torch.argsort(order)]

    def _with_change(self, features: torch.Tensor, band: TimeBand) -> torch.Tensor:
        changes = torch.cat(
            (
                features - features[band.previous],
                features[band.following] - features,
                features - band.mean(features),
            ),
            dim=-1,
        )
        regions = torch.arange(features.shape[1], device=features.device)
        return features + self.change(changes) + self.region_embedding(regions)
