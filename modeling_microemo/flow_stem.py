"""How a face moves, seen as optical flow: which muscles pull, and where to."""

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import MicroEmoDynamicsConfig
from .moment_pairs import moment_pairs
from .optical_flow import GRID, PicturePlane, local_flow, picture_planes, without_head_movement
from .placement import like_weight

PICTURE_SIZE = 112
# Seconds before and after. The near ones see a micro-expression rise and fall; against the far ones a lasting
# expression, which hardly moves from moment to moment, stands out as well.
LAGS_SECONDS = (-1.07, -0.53, -0.27, -0.13, 0.13, 0.27, 0.53, 1.07)
NUM_FLOWS = 3 * len(LAGS_SECONDS)  # by two windows at the finer resolution, and by one at the coarser
NUM_MAPS = 3 * NUM_FLOWS  # right, down, unexplained
NUM_WHOLE = 6 * NUM_FLOWS  # the head's own movement
CHANNELS, STRIDES = (64, 96, 128), (1, 2, 2)
NORM_GROUPS = 4
# Usual values over faces that speak: flow in pixels, and mean and spread of the logarithm of what it leaves over.
USUAL_PIXELS, USUAL_UNEXPLAINED, SPREAD_UNEXPLAINED = 0.7, 1.8, 1.5
FARTHEST = 5.0  # in usual values; what lies beyond is a wrong match
CROPS_A_CHUNK = 128  # bounds the activations of a long clip
CROPS_A_CHUNK_ON_CPU = 32  # within its caches


class FlowStem(nn.Module):
    """Grey crops of one face over time -> one token a moment.

    A moment is seen as its flow to moments before and after, by wide and narrow windows. Flow says how skin moves and
    not what it looks like: little of whoever it is and how the light falls is left in it, so that a few hundred faces
    teach what holds for all (Liong et al., "Shallow Triple Stream Three-dimensional CNN (STSTNet)", FG 2019). How the
    head moved is taken out of it and told beside.
    """

    def __init__(self, config: MicroEmoDynamicsConfig):
        super().__init__()
        sizes = (NUM_MAPS, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
            for before, after, stride in zip(sizes, CHANNELS, STRIDES, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(NORM_GROUPS, channels) for channels in CHANNELS)
        side = GRID
        for stride in STRIDES:
            side = -(-side // stride)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.whole = nn.Linear(NUM_WHOLE, config.hidden_size)
        self.output = nn.Linear(CHANNELS[-1] * side * side, config.hidden_size)

    def forward(self, pixel_values: torch.Tensor, *, times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Normalised pixel_values (N, 3, h, w), times (N,) and groups (N,) in `pack_order` -> (N, D)."""
        pairs = moment_pairs(times, groups, lags_seconds=LAGS_SECONDS)
        size = CROPS_A_CHUNK_ON_CPU if pixel_values.device.type == "cpu" else CROPS_A_CHUNK
        with torch.autocast(pixel_values.device.type, enabled=False):  # half precision rounds faint movement away
            planes = picture_planes(_grey(pixel_values))
            chunks = zip(pairs.first.split(size), pairs.second.split(size), strict=True)
            maps, wholes = map(torch.cat, zip(*(_flow_maps(planes, *chunk) for chunk in chunks), strict=True))
        chunks = zip(pairs.place.split(size), pairs.forward.split(size), strict=True)
        return torch.cat([self._read(*_seen_from(maps, wholes, *chunk)) for chunk in chunks])

    def _read(self, maps: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        maps, whole = like_weight(maps, self.output.weight), like_weight(whole, self.output.weight)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            maps = F.gelu(norm(convolution(maps)))
        return self.output(self.dropout(maps.flatten(1))) + self.whole(whole)


def _grey(pixel_values: torch.Tensor) -> torch.Tensor:
    """(N, 3, h, w) -> (N, 1, PICTURE_SIZE, PICTURE_SIZE) float32."""
    grey = pixel_values.float().mean(1, keepdim=True)
    if grey.shape[-2:] != (PICTURE_SIZE, PICTURE_SIZE):
        grey = F.interpolate(grey, size=(PICTURE_SIZE, PICTURE_SIZE), mode="area")
    return grey


def _flow_maps(
    planes: tuple[PicturePlane, ...], first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The flow from n moments to others, by F windows, and the head's movement.

    Returns:
        maps (n, F, 3, GRID, GRID): right, down, unexplained. wholes (n, F, 6).
    """
    maps, wholes = [], []
    for flow in (flow for plane in planes for flow in local_flow(plane, first, second)):
        residual, whole = without_head_movement(flow)
        right, down = ((way / USUAL_PIXELS).clamp(-FARTHEST, FARTHEST) for way in (residual.right, residual.down))
        unexplained = (residual.unexplained - USUAL_UNEXPLAINED) / SPREAD_UNEXPLAINED
        maps.append(torch.stack((right, down, unexplained), dim=1))
        wholes.append(whole.clamp(-FARTHEST, FARTHEST))
    return torch.stack(maps, dim=1), torch.stack(wholes, dim=1)


def _seen_from(
    maps: torch.Tensor, wholes: torch.Tensor, place: torch.Tensor, forward: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What n moments see of L others, out of pairs (`MomentPairs`): seen from its second moment a flow points back.

    Returns:
        (n, NUM_MAPS, GRID, GRID) and (n, NUM_WHOLE).
    """
    way = torch.where(forward, 1.0, -1.0).to(maps)
    kinds = torch.stack((way, way, torch.ones_like(way)), dim=-1)  # (n, L, 3); what is unexplained has no direction
    seen = maps[place] * kinds[:, :, None, :, None, None]
    return seen.flatten(1, 3), (wholes[place] * way[..., None, None]).flatten(1)
