"""Micro-dynamics transformer: encodes how the regions of a face change within half a second."""

import math

import torch
from torch import nn

from .configuration_microemo import MicroEmoDynamicsConfig
from .dynamics_layer import DynamicsLayer
from .flow_dynamics import FlowDynamics
from .motion_stem import MotionStem
from .placement import match_weight
from .time_band import TimeBand, pack_order, time_band
from .time_embedding import check_times


class MicroDynamics(nn.Module):
    """Encodes each face crop, in the context of the crops around it, to dynamics tokens.

    The first token comes from difference images (`MotionStem`), which are sensitive to faint movement. The second
    comes from optical flow alone (`FlowDynamics`), which describes the kind of movement. The others are the regions of
    the face tower. A region's input is its feature and three changes: to the previous time step, to the next one and
    to its mean within the window. The last has the best signal-to-noise ratio for slow movement at high frame rates.

    With `use_mirrored_view` the first two tokens are averaged over the face and its horizontally flipped copy. The
    side of a movement is not informative of the emotion, and false detections seldom occur in both views.
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
        self.flow = FlowDynamics(config)

    def forward(
        self, regions: torch.Tensor, *, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Returns the dynamics tokens (N, 2 + R, D) in the order of the crops. Arguments as for `movement`.

        Raises `ValueError` if `use_mirrored_view` is set and the regions do not form a square.
        """
        tokens = self.movement(regions, pixel_values=pixel_values, times=times, groups=groups)
        movement, region_tokens = tokens[:, :1], tokens[:, 1:]
        flow = self.flow(pixel_values, times=times, groups=groups).unsqueeze(1)
        if self.config.use_mirrored_view:
            # The tower is not run again: its features of a flipped face are close to its flipped features.
            regions, pixel_values = mirrored_regions(regions), pixel_values.flip(-1)
            mirrored = self.movement(regions, pixel_values=pixel_values, times=times, groups=groups)
            movement = (movement + mirrored[:, :1]) / 2
            flow = (flow + self.flow(pixel_values, times=times, groups=groups).unsqueeze(1)) / 2
        return torch.cat((movement, flow, region_tokens), dim=1)

    def movement(
        self, regions: torch.Tensor, *, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Returns the movement token and the region tokens (N, 1 + R, D) in the order of the crops.

        Args:
            regions: (N, R, C), R regions of each of the N crops of all clips, N >= 1. R = 0: movement only.
            pixel_values: (N, 3, h, w), the crops.
            times: (N,) float seconds.
            groups: (N,) long; crops of different groups (clips, persons) do not attend to each other.
        """
        check_times("face_times", times)
        if regions.shape[1] > self.config.max_regions:
            raise ValueError(
                f"the face tower returns {regions.shape[1]} regions per crop, "
                f"more than dynamics_config.max_regions ({self.config.max_regions})"
            )
        regions = match_weight(regions, self.feature.weight)  # a frozen tower may have another dtype or device
        order = pack_order(times, groups)
        times, groups = times[order], groups[order]
        band = time_band(times, groups, window_seconds=self.config.dynamics_window_seconds)
        states = self._with_change(self.feature(self.input_norm(regions[order])), band)
        motion = self.motion_stem(pixel_values[order], band=band, times=times, groups=groups)
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


def mirrored_regions(regions: torch.Tensor) -> torch.Tensor:
    """Flips regions (N, R, C), a row-major square grid after an optional class token, horizontally."""
    count = regions.shape[1]
    side = math.isqrt(count)
    if count not in (side * side, side * side + 1):
        raise ValueError(
            f"use_mirrored_view needs a square grid of regions, with or without a class token; got {count}"
        )
    square = regions[:, count - side * side :].unflatten(1, (side, side)).flip(2).flatten(1, 2)
    return torch.cat((regions[:, : count - side * side], square), dim=1)
