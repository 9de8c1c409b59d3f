"""Closed-form optical flow between two face crops on a coarse grid.

Lucas & Kanade (IJCAI 1981): within a window, the change of intensity equals the intensity gradient times the
displacement. The equations are solved symmetrically in time, with gradients of the mean of both images, and relative
to each window's mean intensity, which makes the flow invariant to changes of brightness. The windows are large
compared with facial motion, so no warping is needed; larger displacements are captured by a coarser image level.
"""

from functools import cache
from typing import NamedTuple

import torch
from torch.nn import functional as F

GRID = 14  # cells per side
# Factor from pixels normalised with ImageNet's statistics to grey levels (0..255).
GREY_LEVELS = 57.0
NOISE = 4.0  # regularisation in squared grey levels: variance of gradients that is noise
MAX_DISPLACEMENT_PIXELS = 8.0  # windows without texture yield larger values
HALF_WEIGHT = 20.0  # gradient strength in squared grey levels at which a cell has weight 0.5


class Flow(NamedTuple):
    """Displacements of n pairs of images on a grid: right and down (n, GRID, GRID), in pixels of the full image.

    residual: (n, GRID, GRID) log(1 + variance of intensity that the displacement does not explain), for example
    folding skin or an opening mouth. weight: (n, GRID, GRID) in 0..1, reliability of the displacement given the
    gradients.
    """

    right: torch.Tensor
    down: torch.Tensor
    residual: torch.Tensor
    weight: torch.Tensor


class ImageLevel(NamedTuple):
    """Images at one resolution. grey: (N, s, s) grey levels. scale: pixels of the full image per pixel of this level.
    windows: window sides in pixels of this level; narrow windows resolve detail, wide windows are more robust."""

    grey: torch.Tensor
    scale: float
    windows: tuple[int, ...]


def image_levels(grey: torch.Tensor) -> tuple[ImageLevel, ...]:
    """Downsamples normalised grey images (N, 1, h, w), sides divisible by 4, to a half and a quarter resolution."""
    half = F.avg_pool2d(grey * GREY_LEVELS, 2)
    quarter = F.avg_pool2d(half, 2)
    return ImageLevel(half.squeeze(1), 2.0, (4, 8)), ImageLevel(quarter.squeeze(1), 4.0, (6,))


def local_flow(level: ImageLevel, first: torch.Tensor, second: torch.Tensor) -> tuple[Flow, ...]:
    """Returns the flow from the images with index `first` to those with index `second`, (n,) long, for each window."""
    before, after = level.grey[first], level.grey[second]
    gradient_right, gradient_down = _gradients((before + after) / 2)
    change = after - before
    products = torch.stack(
        (
            gradient_right,
            gradient_down,
            change,
            gradient_right * gradient_right,
            gradient_right * gradient_down,
            gradient_down * gradient_down,
            gradient_right * change,
            gradient_down * change,
            change * change,
        ),
        dim=1,
    )
    return tuple(_solve(_window_means(products, window), scale=level.scale) for window in level.windows)


def _window_means(products: torch.Tensor, window: int) -> torch.Tensor:
    """(n, 9, s, s) -> (n, 9, GRID, GRID)."""
    weights = cell_windows(products.shape[-1], window).to(products)
    return F.linear(F.linear(products, weights).mT, weights).mT  # two large matrix products, one per axis


def _solve(means: torch.Tensor, *, scale: float) -> Flow:
    """Least-squares displacement from the window means of the products of gradients and change."""
    x, y, t, xx, xy, yy, xt, yt, tt = means.unbind(1)
    xx, xy, yy = xx - x * x + NOISE, xy - x * y, yy - y * y + NOISE
    xt, yt, tt = xt - x * t, yt - y * t, tt - t * t
    determinant = xx * yy - xy * xy
    right, down = (xy * yt - yy * xt) / determinant, (xy * xt - xx * yt) / determinant
    residual = (tt + right * xt + down * yt).clamp(min=0).log1p()
    smallest_eigenvalue = ((xx + yy) - ((xx - yy).square() + 4 * xy * xy).sqrt()) / 2 - NOISE
    weight = smallest_eigenvalue.clamp(min=0) / (smallest_eigenvalue.clamp(min=0) + HALF_WEIGHT)
    limit = MAX_DISPLACEMENT_PIXELS / scale
    return Flow(right.clamp(-limit, limit) * scale, down.clamp(-limit, limit) * scale, residual, weight)


def remove_head_motion(flow: Flow) -> tuple[Flow, torch.Tensor]:
    """Subtracts the best-fitting affine motion and returns the remaining flow and the affine parameters (n, 6).

    Affine motion comes from head movement and from jitter of the five landmarks by which crops are aligned.
    """
    positions = _cell_positions().to(flow.right)  # (G * G, 3)
    squares = (positions.unsqueeze(1) * positions.unsqueeze(2)).flatten(1)  # (G * G, 9)
    weight = flow.weight.flatten(1) + 1e-3
    displacement = torch.stack((flow.right.flatten(1), flow.down.flatten(1)), dim=-1)  # (n, G * G, 2)
    normal = (weight @ squares).unflatten(1, (3, 3))
    affine = torch.linalg.solve(normal, positions.T @ (weight.unsqueeze(-1) * displacement))  # (n, 3, 2)
    right, down = (displacement - positions @ affine).unflatten(1, (GRID, GRID)).unbind(-1)
    return flow._replace(right=right, down=down), affine.flatten(1)


@cache
def cell_windows(size: int, window: int) -> torch.Tensor:
    """(GRID, size): averaging weights of each cell's window, which is centred on the cell and clipped to the image."""
    centres = (torch.arange(GRID) + 0.5) * size / GRID
    distance = (torch.arange(size) + 0.5 - centres.unsqueeze(1)).abs()
    inside = (distance <= window / 2).float()
    return inside / inside.sum(1, keepdim=True)


@cache
def _cell_positions() -> torch.Tensor:
    """(GRID * GRID, 3): one, and each cell's horizontal and vertical position in -1..1."""
    line = torch.linspace(-1, 1, GRID)
    down, right = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((torch.ones(GRID * GRID), right.flatten(), down.flatten()), dim=1)


def _gradients(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences to the right and down of images (n, h, w), with replicated borders."""
    padded = F.pad(images.unsqueeze(1), (1, 1, 1, 1), mode="replicate").squeeze(1)
    return (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2, (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
