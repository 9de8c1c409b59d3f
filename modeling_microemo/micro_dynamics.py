"""Micro-dynamics: how each region of a face changes within half a second."""

import math

import torch
from torch import nn

from .configuration_microemo import MicroEmoDynamicsConfig
from .dynamics_layer import DynamicsLayer
from .flow_dynamics import FlowDynamics
from .motion_stem import MotionStem
from .placement import like_weight
from .time_band import TimeBand, pack_order, time_band
from .time_embedding import check_times


class MicroDynamics(nn.Module):
    """Face crops -> dynamics tokens that know the moments around them: of the movement, of the flow, of each region.

    The movement, which stands first, is read from difference pictures (`MotionStem`): that something moves, however
    faint and small. The flow (`FlowDynamics`), which stands second and knows the flow alone, tells what it is. A
    region enters with its feature and three changes: since the moment before, until the one after, and against its
    average within the window. The last stands out of the noise when the frame rate is high and the movement slow.

    With `use_mirrored_view` the first two tokens are the mean over the face and its mirror picture: which side moves
    says nothing about what is felt, and what one view takes for a movement the other seldom does.
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
        """Returns the dynamics tokens (N, 2 + R, D), in the order of the crops; arguments as `movement`.

        Raises `ValueError` when regions that lie in no square are to be mirrored.
        """
        movement = self.movement(regions, pixel_values=pixel_values, times=times, groups=groups)
        first, regions_seen = movement[:, :1], movement[:, 1:]
        flow = self.flow(pixel_values, times=times, groups=groups).unsqueeze(1)
        if self.config.use_mirrored_view:
            # The tower is not run again: what it says of a mirrored face is close to what it said, mirrored.
            regions, pixel_values = mirrored_regions(regions), pixel_values.flip(-1)
            mirrored = self.movement(regions, pixel_values=pixel_values, times=times, groups=groups)
            first = (first + mirrored[:, :1]) / 2
            flow = (flow + self.flow(pixel_values, times=times, groups=groups).unsqueeze(1)) / 2
        return torch.cat((first, flow, regions_seen), dim=1)

    def movement(
        self, regions: torch.Tensor, *, pixel_values: torch.Tensor, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Returns the tokens of the movement and of the regions (N, 1 + R, D), in the order of the crops.

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
    """Regions (N, R, C) with left and right exchanged: a square row by row, behind a class token if there is one."""
    count = regions.shape[1]
    side = math.isqrt(count)
    if count not in (side * side, side * side + 1):
        raise ValueError(f"use_mirrored_view needs regions in a square, with or without a class token; got {count}")
    square = regions[:, count - side * side :].unflatten(1, (side, side)).flip(2).flatten(1, 2)
    return torch.cat((regions[:, : count - side * side], square), dim=1)
