"""Temporal transformer over the optical flow of face crops."""

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import MicroEmoDynamicsConfig
from .dynamics_layer import DynamicsLayer
from .optical_flow import GRID, ImageLevel, image_levels, local_flow, remove_head_motion
from .placement import match_weight
from .time_band import lagged_pairs, pack_order, time_band

IMAGE_SIZE = 112
# Offsets of the compared crops. Small lags capture the onset and offset of a micro-expression; large lags also capture
# a macro-expression, which hardly changes from frame to frame.
LAGS_SECONDS = (-1.07, -0.53, -0.27, -0.13, 0.13, 0.27, 0.53, 1.07)
NUM_FLOWS = 3 * len(LAGS_SECONDS)  # two windows at the fine resolution, one at the coarse resolution
NUM_MAPS = 3 * NUM_FLOWS  # right, down, residual
NUM_HEAD_MOTION = 6 * NUM_FLOWS  # affine parameters
CHANNELS, STRIDES = (64, 96, 128), (1, 2, 2)
NORM_GROUPS = 4
# Normalisation, measured on faces that speak: flow in pixels, mean and standard deviation of the log residual.
FLOW_SCALE_PIXELS, RESIDUAL_MEAN, RESIDUAL_STD = 0.7, 1.8, 1.5
MAX_FLOW = 5.0  # clip limit of the normalised flow; larger values are wrong matches
CROPS_PER_CHUNK = 128  # limits the memory of activations for long clips
CROPS_PER_CHUNK_ON_CPU = 32  # fits the CPU caches


class FlowStem(nn.Module):
    """Encodes the optical flow around each face crop to one token.

    Each crop is represented by its flow to earlier and later crops, computed with wide and narrow windows. Flow is
    nearly independent of identity and lighting, so that a few hundred faces are enough for training (Liong et al.,
    "Shallow Triple Stream Three-dimensional CNN (STSTNet)", FG 2019). Head motion is removed from the flow and encoded
    separately.
    """

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        sizes = (NUM_MAPS, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
            for in_channels, out_channels, stride in zip(sizes, CHANNELS, STRIDES, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, channels) for channels in CHANNELS)
        side = GRID
        for stride in STRIDES:
            side = -(-side // stride)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.whole = nn.Linear(NUM_HEAD_MOTION, config.hidden_size)
        self.output = nn.Linear(CHANNELS[-1] * side * side, config.hidden_size)

    def forward(self, pixel_values: torch.Tensor, *, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Normalised pixel_values (N, 3, h, w), times (N,) and groups (N,) in `pack_order` -> (N, D)."""
        pairs = lagged_pairs(times, groups, lags_seconds=LAGS_SECONDS)
        size = CROPS_PER_CHUNK_ON_CPU if pixel_values.device.type == "cpu" else CROPS_PER_CHUNK
        with torch.autocast(
            pixel_values.device.type, enabled=False
        ):  # half precision would round faint motion to zero
            levels = image_levels(_to_grey(pixel_values))
            chunks = zip(pairs.first.split(size), pairs.second.split(size), strict=True)
            maps, head_motion = map(torch.cat, zip(*(_flow_maps(levels, *chunk) for chunk in chunks), strict=True))
        chunks = zip(pairs.pair.split(size), pairs.is_first.split(size), strict=True)
        return torch.cat([self._encode(*_gather_maps(maps, head_motion, *chunk)) for chunk in chunks])

    def _encode(self, maps: torch.Tensor, head_motion: torch.Tensor) -> torch.Tensor:
        maps, head_motion = match_weight(maps, self.output.weight), match_weight(head_motion, self.output.weight)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            maps = F.gelu(norm(convolution(maps)))
        return self.output(self.dropout(maps.flatten(1))) + self.whole(head_motion)


class FlowDynamics(nn.Module):
    """Encodes face crops to one token each, from the optical flow over the time steps around the crop."""

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        self.config = config
        self.stem = FlowStem(config)
        self.layers = nn.ModuleList(DynamicsLayer(config, one_token=True) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixel_values: torch.Tensor, *, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """pixel_values (N, 3, h, w), times (N,) and groups (N,) as in `MicroDynamics`, in any order -> (N, D)."""
        order = pack_order(times, groups)
        times, groups = times[order], groups[order]
        band = time_band(times, groups, window_seconds=self.config.dynamics_window_seconds)
        states = self.stem(pixel_values[order], times=times, groups=groups).unsqueeze(1)
        for layer in self.layers:
            states = layer(states, times, band)
        return self.norm(states).squeeze(1)[torch.argsort(order)]


def _to_grey(pixel_values: torch.Tensor) -> torch.Tensor:
    """(N, 3, h, w) -> (N, 1, IMAGE_SIZE, IMAGE_SIZE) float32."""
    grey = pixel_values.float().mean(1, keepdim=True)
    if grey.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        grey = F.interpolate(grey, size=(IMAGE_SIZE, IMAGE_SIZE), mode="area")
    return grey


def _flow_maps(
    levels: tuple[ImageLevel, ...], first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Computes the normalised flow of n pairs of crops with F windows, and the head motion.

    Returns:
        maps (n, F, 3, GRID, GRID): right, down, residual. head_motion (n, F, 6).
    """
    maps, head_motions = [], []
    for flow in (flow for level in levels for flow in local_flow(level, first, second)):
        local, head_motion = remove_head_motion(flow)
        right, down = (
            (component / FLOW_SCALE_PIXELS).clamp(-MAX_FLOW, MAX_FLOW) for component in (local.right, local.down)
        )
        residual = (local.residual - RESIDUAL_MEAN) / RESIDUAL_STD
        maps.append(torch.stack((right, down, residual), dim=1))
        head_motions.append(head_motion.clamp(-MAX_FLOW, MAX_FLOW))
    return torch.stack(maps, dim=1), torch.stack(head_motions, dim=1)


def _gather_maps(
    maps: torch.Tensor, head_motion: torch.Tensor, index: torch.Tensor, is_first: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gathers the flow of n time steps to L others from the pairs; reversed where the step is the second of its pair.

    Returns:
        (n, NUM_MAPS, GRID, GRID) and (n, NUM_HEAD_MOTION).
    """
    sign = torch.where(is_first, 1.0, -1.0).to(maps)
    signs = torch.stack((sign, sign, torch.ones_like(sign)), dim=-1)  # (n, L, 3); the residual has no direction
    gathered = maps[index] * signs[:, :, None, :, None, None]
    return gathered.flatten(1, 3), (head_motion[index] * sign[..., None, None]).flatten(1)
