"""What moves in a face, seen in difference pictures: a tower trained on stills hardly feels a shift of a pixel."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import MicroEmoDynamicsConfig
from .placement import like_weight
from .time_band import TimeBand, moments_at

CHANNELS = (16, 32, 64, 64, 96)  # each stage halves the picture: 112 px become 4 x 4
PICTURE_SIZE = 112
NORM_GROUPS = 4
# Seconds before and after, about a quarter and a half of a micro-expression's longest: one that comes and goes stands
# out against both sides at its apex, however slowly it does, where a lasting one differs from what was before alone.
LAGS_SECONDS = (-0.27, -0.13, 0.13, 0.27)
NUM_CHANGES = 3 + len(LAGS_SECONDS)
FAINTEST = 1e-3  # mean change of normalised pixels, below a grey level of 1 in 255: the logarithm ends there
CROPS_A_CHUNK = 128  # bounds the activations of a long clip
CROPS_A_CHUNK_ON_CPU = 32  # within its caches; 128 take 1.3 times as long


class MotionStem(nn.Module):
    """Grey crops of one face over time -> one token a moment.

    A moment is seen as pictures of its change: against the average within the window, in which whoever it is and how
    the light falls have cancelled out, against the moments before and after, and against some farther away.
    Norms make a faint movement as legible as a strong one, so how strong it was is told beside.
    """

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        sizes = (NUM_CHANGES, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False)
            for before, after in zip(sizes, CHANNELS, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, channels) for channels in CHANNELS)
        side = PICTURE_SIZE
        for _ in CHANNELS:
            side = (side + 1) // 2
        self.strength = nn.Linear(NUM_CHANGES, config.hidden_size)
        self.output = nn.Linear(CHANNELS[-1] * side * side, config.hidden_size)

    def forward(
        self, pixel_values: torch.Tensor, *, band: TimeBand, times: torch.Tensor, groups: torch.Tensor
    ) -> torch.Tensor:
        """Normalised pixel_values (N, 3, h, w), times (N,) and groups (N,) in the order of the band -> (N, D)."""
        with torch.autocast(pixel_values.device.type, enabled=False):  # half precision rounds faint changes away
            grey = self._grey(pixel_values)
            mean = band.mean(grey)
        others = [band.previous, band.following, *(moments_at(times, groups, seconds=lag) for lag in LAGS_SECONDS)]
        index = torch.arange(len(grey), device=grey.device)
        size = CROPS_A_CHUNK_ON_CPU if grey.device.type == "cpu" else CROPS_A_CHUNK
        return torch.cat([self._read(_changes(grey, mean, others, chunk=chunk)) for chunk in index.split(size)])

    @staticmethod
    def _grey(pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w) -> (N, 1, PICTURE_SIZE, PICTURE_SIZE) float32."""
        grey = pixel_values.float().mean(1, keepdim=True)
        if grey.shape[-2:] != (PICTURE_SIZE, PICTURE_SIZE):
            grey = F.interpolate(grey, size=(PICTURE_SIZE, PICTURE_SIZE), mode="area")
        return grey

    def _read(self, changes: torch.Tensor) -> torch.Tensor:
        weight = self.output.weight
        strength = like_weight(changes.abs().mean((2, 3)).clamp(min=FAINTEST).log(), weight)
        changes = like_weight(changes, weight)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            changes = F.gelu(norm(convolution(changes)))
        return self.output(changes.flatten(1)) + self.strength(strength)


def _changes(
    grey: torch.Tensor, mean: torch.Tensor, others: Sequence[torch.Tensor], *, chunk: torch.Tensor
) -> torch.Tensor:
    """(n, NUM_CHANGES, h, w) of the n moments of a chunk, out of grey pictures and their local means (N, 1, h, w)."""
    now = grey[chunk]
    return torch.cat((now - mean[chunk], *(now - grey[other[chunk]] for other in others)), dim=1)
