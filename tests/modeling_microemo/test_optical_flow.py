"""Optical flow of images shifted by known amounts."""

import pytest
import torch
from torch.nn import functional as F

from microemo.optical_flow import GRID, cell_windows, image_levels, local_flow, remove_head_motion

SIDE = 112
FIRST, SECOND = torch.tensor([0]), torch.tensor([1])


def picture(right: float = 0.0, down: float = 0.0, *, growth: float = 1.0, seed: int = 0) -> torch.Tensor:
    """A smooth random image (1, 1, 112, 112) in normalised grey, shifted by the given pixels."""
    noise = torch.randn(1, 1, 14, 14, generator=torch.Generator().manual_seed(seed))
    line = torch.linspace(-1, 1, SIDE) * 0.8
    rows, columns = torch.meshgrid(
        (line - down / SIDE * 1.6) / growth, (line - right / SIDE * 1.6) / growth, indexing="ij"
    )
    return F.grid_sample(noise, torch.stack((columns, rows), -1)[None], mode="bicubic", align_corners=True)


def flows(before: torch.Tensor, after: torch.Tensor):
    """Flow between two images for each window: narrow, wide, coarse."""
    levels = image_levels(torch.cat((before, after)))
    return [flow for level in levels for flow in local_flow(level, FIRST, SECOND)]


class TestLocalFlow:
    @pytest.mark.parametrize(("right", "down"), [(0.6, 0.0), (0.0, -0.6), (1.0, 0.5)])
    def test_flow_equals_the_shift_in_image_pixels(self, right, down):
        for flow in flows(picture(), picture(right, down)):
            assert flow.right[0, 2:-2, 2:-2].median().item() == pytest.approx(right, rel=0.2, abs=0.08)
            assert flow.down[0, 2:-2, 2:-2].median().item() == pytest.approx(down, rel=0.2, abs=0.08)

    def test_reversed_flow_has_opposite_sign(self):
        there, back = flows(picture(), picture(0.8)), flows(picture(0.8), picture())
        for first, second in zip(there, back, strict=True):
            torch.testing.assert_close(first.right, -second.right)
            torch.testing.assert_close(first.residual, second.residual)

    def test_brightness_does_not_change_flow(self):
        for flow in flows(picture(), picture() + 0.2):
            assert flow.right.abs().max() < 1e-3 and flow.residual.max() < 1e-2

    def test_residual_measures_unexplained_change(self):
        for still, changed in zip(flows(picture(), picture(0.3)), flows(picture(), picture(seed=1)), strict=True):
            assert changed.residual.mean() > 4 * still.residual.mean()

    def test_flat_image_has_zero_flow_and_weight(self):
        flat = torch.zeros(1, 1, SIDE, SIDE)
        for flow in flows(flat, flat + 1.0):
            assert torch.equal(flow.right, torch.zeros(1, GRID, GRID)) and flow.weight.max() == 0

    def test_flow_is_local(self):
        moved = picture()
        moved[..., 70:100, 40:70] = picture(0.8)[..., 70:100, 40:70]
        flow = flows(picture(), moved)[0]
        assert flow.right[0, 9:12, 6:8].median().item() == pytest.approx(0.8, abs=0.3)
        assert flow.right[0, :7].abs().max() < 0.05


def test_head_motion_is_removed_and_returned():
    flow = flows(picture(), picture(0.6, growth=1.01))[1]
    residual, whole = remove_head_motion(flow)
    assert residual.right.abs().mean() < 0.3 * flow.right.abs().mean()
    assert whole.shape == (1, 6) and whole[0, 0].item() == pytest.approx(0.6, abs=0.15)


def test_cell_windows_are_averaging_weights():
    weights = cell_windows(56, 4)
    assert weights.shape == (GRID, 56) and torch.allclose(weights.sum(1), torch.ones(GRID))
    assert (weights[3] > 0).nonzero().flatten().tolist() == [12, 13, 14, 15]
