"""What moves in a face, seen in difference pictures: a tower trained on stills hardly feels a shift of a pixel."""

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import MicroEmoDynamicsConfig
from .placement import like_weight
from .time_band import TimeBand

CHANNELS = (16, 32, 64, 64, 96)  # each stage halves the picture: 112 px become 4 x 4
PICTURE_SIZE = 112
NORM_GROUPS = 4
NUM_CHANGES = 3
FAINTEST = 1e-3  # mean change of normalised pixels, below a grey level of 1 in 255: the logarithm ends there
CROPS_A_CHUNK = 128  # bounds the activations of a long clip
CROPS_A_CHUNK_ON_CPU = 32  # within its caches; 128 take 1.3 times as long


class MotionStem(nn.Module):
    """Grey crops of one face over time -> one token a moment.

    A moment is seen as three pictures: its change since the moment before, until the one after, and against the
    average within the window, in which whoever it is and how the light falls have cancelled out. Norms make a faint
    movement as legible as a strong one, so how strong it was is told beside.
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

    def forward(self, pixel_values: torch.Tensor, *, band: TimeBand) -> torch.Tensor:
        """pixel_values (N, 3, h, w), normalised, in the order of the band -> (N, D)."""
        with torch.autocast(pixel_values.device.type, enabled=False):  # half precision rounds faint changes away
            changes = self._changes(pixel_values.float().mean(1, keepdim=True), band)
        size = CROPS_A_CHUNK_ON_CPU if changes.device.type == "cpu" else CROPS_A_CHUNK
        return torch.cat([self._read(chunk) for chunk in changes.split(size)])

    @staticmethod
    def _changes(grey: torch.Tensor, band: TimeBand) -> torch.Tensor:
        """(N, 1, h, w) float32 -> (N, 3, PICTURE_SIZE, PICTURE_SIZE)."""
        if grey.shape[-2:] != (PICTURE_SIZE, PICTURE_SIZE):
            grey = F.interpolate(grey, size=(PICTURE_SIZE, PICTURE_SIZE), mode="area")
        return torch.cat((grey - grey[band.previous], grey[band.following] - grey, grey - band.mean(grey)), dim=1)

    def _read(self, changes: torch.Tensor) -> torch.Tensor:
        weight = self.output.weight
        strength = like_weight(changes.abs().mean((2, 3)).clamp(min=FAINTEST).log(), weight)
        changes = like_weight(changes, weight)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            changes = F.gelu(norm(convolution(changes)))
        return self.output(changes.flatten(1)) + self.strength(strength)
