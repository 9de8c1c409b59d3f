"""Encodes motion of a face from difference images, which resolve shifts that a tower trained on stills does not."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import MicroEmoDynamicsConfig
from .placement import match_weight
from .time_band import TimeBand, lagged_indices

CHANNELS = (16, 32, 64, 64, 96)  # each layer halves the image: 112 px become 4 x 4
IMAGE_SIZE = 112
NORM_GROUPS = 4
# About a quarter and a half of the longest micro-expression. At its apex a micro-expression differs from the crops on
# both sides, however slow it is; a macro-expression differs only from the crops before its onset.
LAGS_SECONDS = (-0.27, -0.13, 0.13, 0.27)
NUM_CHANGES = 3 + len(LAGS_SECONDS)
MIN_CHANGE = 1e-3  # lower bound of the logarithm: mean change of normalised pixels, less than 1 grey level in 255
CROPS_PER_CHUNK = 128  # limits the memory of activations for long clips
CROPS_PER_CHUNK_ON_CPU = 32  # fits the CPU caches; 128 take 1.3 times as long


class MotionStem(nn.Module):
    """Encodes the difference images around each face crop to one token.

    The differences are to the local mean within the window, to the previous and the next crop, and to crops at
    `LAGS_SECONDS`. Identity and lighting cancel out. The normalisation layers remove the magnitude of the change, so
    it is encoded separately (`strength`).
    """

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        sizes = (NUM_CHANGES, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=2, padding=1, bias=False)
            for in_channels, out_channels in zip(sizes, CHANNELS, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, channels) for channels in CHANNELS)
        side = IMAGE_SIZE
        for _ in CHANNELS:
            side = (side + 1) // 2
        self.strength = nn.Linear(NUM_CHANGES, config.hidden_size)
        self.output = nn.Linear(CHANNELS[-1] * side * side, config.hidden_size)

    def forward(
        self, pixel_values: torch.Tensor, *, band: TimeBand, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Normalised pixel_values (N, 3, h, w), times (N,) and groups (N,) in the order of the band -> (N, D)."""
        with torch.autocast(
            pixel_values.device.type, enabled=False
        ):  # half precision would round faint changes to zero
            grey = self._to_grey(pixel_values)
            mean = band.mean(grey)
        others = [band.previous, band.following, *(lagged_indices(times, groups, seconds=lag) for lag in LAGS_SECONDS)]
        index = torch.arange(len(grey), device=grey.device)
        size = CROPS_PER_CHUNK_ON_CPU if grey.device.type == "cpu" else CROPS_PER_CHUNK
        return torch.cat([self._encode(_changes(grey, mean, others, chunk=chunk)) for chunk in index.split(size)])

    @staticmethod
    def _to_grey(pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w) -> (N, 1, IMAGE_SIZE, IMAGE_SIZE) float32."""
        grey = pixel_values.float().mean(1, keepdim=True)
        if grey.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
            grey = F.interpolate(grey, size=(IMAGE_SIZE, IMAGE_SIZE), mode="area")
        return grey

    def _encode(self, changes: torch.Tensor) -> torch.Tensor:
        weight = self.output.weight
        strength = match_weight(changes.abs().mean((2, 3)).clamp(min=MIN_CHANGE).log(), weight)
        changes = match_weight(changes, weight)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            changes = F.gelu(norm(convolution(changes)))
        return self.output(changes.flatten(1)) + self.strength(strength)


def _changes(
    grey: torch.Tensor, mean: torch.Tensor, others: Sequence[torch.Tensor], *, chunk: torch.Tensor
) -> torch.Tensor:
    """Difference images (n, NUM_CHANGES, h, w) of the crops `chunk`, from grey images and local means (N, 1, h, w)."""
    current = grey[chunk]
    return torch.cat((current - mean[chunk], *(current - grey[other[chunk]] for other in others)), dim=1)
