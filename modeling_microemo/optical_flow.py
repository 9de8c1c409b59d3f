"""How far each part of a face has moved between two pictures, in closed form.

Lucas & Kanade (IJCAI 1981): within a window the change of grey is the slope of grey times the movement. Solved here
symmetrically in time, with slopes of the pictures' mean, and against each window's mean grey, so that a change of
light is no movement. Windows are wide against the movement of a face between two moments, and no warping is needed;
what moves farther than a slope reaches is told by a coarser picture.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch.nn import functional as F

GRID = 14  # cells a side
# Pixels normalised as ImageNet's vary by 1 where grey levels (0..255) vary by 57.
GREY_LEVELS = 57.0
NOISE = 4.0  # square grey levels, of a slope that means nothing
FARTHEST_PIXELS = 8.0  # no face moves farther between moments of a second; a window without slopes may say so
FIRM = 20.0  # slope, in square grey levels, at which a window counts half for the movement of the whole


class Flow(NamedTuple):
    """Movement of n pairs of pictures on a grid: right and down (n, GRID, GRID), in pixels of the whole picture.

    unexplained: (n, GRID, GRID) log(1 + variance of grey that no movement explains): skin that folds, a mouth that
    opens. weight: (n, GRID, GRID) in 0..1, how firmly the slopes hold the movement.
    """

    right: torch.Tensor
    down: torch.Tensor
    unexplained: torch.Tensor
    weight: torch.Tensor


class PicturePlane(NamedTuple):
    """Pictures at one resolution. grey: (N, s, s) grey levels. scale: pixels of the whole picture in one of these.
    windows: sides of a cell's windows in these pixels; a narrow one sees what is small, a wide one is firm."""

    grey: torch.Tensor
    scale: float
    windows: tuple[int, ...]


def picture_planes(grey: torch.Tensor) -> tuple[PicturePlane, ...]:
    """Two resolutions, a half and a quarter, of normalised grey pictures (N, 1, h, w) with sides that 4 divides."""
    half = F.avg_pool2d(grey * GREY_LEVELS, 2)
    quarter = F.avg_pool2d(half, 2)
    return PicturePlane(half.squeeze(1), 2.0, (4, 8)), PicturePlane(quarter.squeeze(1), 4.0, (6,))


def local_flow(plane: PicturePlane, first: torch.Tensor, second: torch.Tensor) -> tuple[Flow, ...]:
    """The movement from the pictures numbered `first` to those numbered `second`, both (n,) long, by each window."""
    before, after = plane.grey[first], plane.grey[second]
    slope_right, slope_down = _slopes((before + after) / 2)
    change = after - before
    products = torch.stack(
        (
            slope_right,
            slope_down,
            change,
            slope_right * slope_right,
            slope_right * slope_down,
            slope_down * slope_down,
            slope_right * change,
            slope_down * change,
            change * change,
        ),
        dim=1,
    )
    return tuple(_solved(_window_means(products, window), scale=plane.scale) for window in plane.windows)


def _window_means(products: torch.Tensor, window: int) -> torch.Tensor:
    """(n, 9, s, s) -> (n, 9, GRID, GRID)."""
    weights = cell_windows(products.shape[-1], window).to(products)
    return F.linear(F.linear(products, weights).mT, weights).mT  # two large products of matrices, one a side


def _solved(means: torch.Tensor, *, scale: float) -> Flow:
    """The movement that explains the most of the change, out of the means of the slopes' and the change's products."""
    x, y, t, xx, xy, yy, xt, yt, tt = means.unbind(1)
    xx, xy, yy = xx - x * x + NOISE, xy - x * y, yy - y * y + NOISE
    xt, yt, tt = xt - x * t, yt - y * t, tt - t * t
    determinant = xx * yy - xy * xy
    right, down = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
    unexplained = (tt + right * xt + down * yt).clamp(min=0).log1p()
    weakest = ((xx + yy) - ((xx - yy).square() + 4 * xy * xy).sqrt()) / 2 - NOISE
    weight = weakest.clamp(min=0) / (weakest.clamp(min=0) + FIRM)
    reach = FARTHEST_PIXELS / scale
    return Flow(right.clamp(-reach, reach) * scale, down.clamp(-reach, reach) * scale, unexplained, weight)


def without_head_movement(flow: Flow) -> tuple[Flow, torch.Tensor]:
    """The flow less the affine movement that fits the whole picture best, and that movement (n, 6).

    Crops are aligned by five points that tremble, and heads turn: both move the whole face alike.
    """
    positions = _cell_positions().to(flow.right)  # (G * G, 3)
    squares = (positions.unsqueeze(1) * positions.unsqueeze(2)).flatten(1)  # (G * G, 9)
    weight = flow.weight.flatten(1) + 1e-3
    moved = torch.stack((flow.right.flatten(1), flow.down.flatten(1)), dim=-1)  # (n, G * G, 2)
    normal = (weight @ squares).unflatten(1, (3, 3))
    whole = torch.linalg.solve(normal, positions.T @ (weight.unsqueeze(-1) * moved))  # (n, 3, 2)
    right, down = (moved - positions @ whole).unflatten(1, (GRID, GRID)).unbind(-1)
    return flow._replace(right=right, down=down), whole.flatten(1)


@cache
def cell_windows(size: int, window: int) -> torch.Tensor:
    """(GRID, size): the mean over each cell's window, which lies around the cell's middle and within the picture."""
    middles = (torch.arange(GRID) + 0.5) * size / GRID
    distance = (torch.arange(size) + 0.5 - middles.unsqueeze(1)).abs()
    inside = (distance <= window / 2).float()
    return inside / inside.sum(1, keepdim=True)


@cache
def _cell_positions() -> torch.Tensor:
    """(GRID * GRID, 3): one, and the cell's place from left to right and from top to bottom in -1..1."""
    line = torch.linspace(-1, 1, GRID)
    down, right = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((torch.ones(GRID * GRID), right.flatten(), down.flatten()), dim=1)


def _slopes(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences to the right and down of (n, h, w); the border is repeated."""
    wide = F.pad(pictures.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
    return (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2, (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
