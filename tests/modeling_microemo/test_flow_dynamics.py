"""Flow tokens: direction of the flow, and invariances."""

import pytest
import torch
from tiny_model import PART

from microemo import MicroEmoDynamicsConfig
from microemo.flow_dynamics import LAGS_SECONDS, FlowDynamics, FlowStem


@pytest.fixture
def config():
    return MicroEmoDynamicsConfig(**PART, encoder_hidden_size=12)


@pytest.fixture
def flow(config):
    torch.manual_seed(0)
    return FlowDynamics(config).eval()


def crops(count, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 16, 16, generator=generator), torch.arange(count) / 30


def test_flow_at_the_apex_points_back_on_both_sides(config):
    """At the apex of a movement, the flow to earlier and to later crops has the opposite direction of the movement."""
    stem, read = FlowStem(config), []
    stem._encode = lambda maps, head_motion: read.append(maps) or torch.zeros(len(maps), 1)
    times = torch.arange(60) / 30
    shift = 1.5 * (1 - (times - 1.0).abs() / 0.25).clamp(min=0)
    place = torch.arange(112.0)
    columns = (place[None, :] - 30 - shift[:, None] * (place > 56)) / 9  # the right half of the face moves
    pixels = (columns.sin()[:, None, None, :] + (place / 8).cos()[None, None, :, None]).expand(60, 3, 112, 112)
    stem(pixels, times=times, groups=torch.zeros(60, dtype=torch.long))
    to_the_right = torch.cat(read)[:, ::3].unflatten(1, (len(LAGS_SECONDS), -1))[:, :, 1]  # by the wide window
    seen = to_the_right[..., 9:12].mean((2, 3)) - to_the_right[..., 2:5].mean((2, 3))  # (moments, lags)
    near = [index for index, lag in enumerate(LAGS_SECONDS) if abs(lag) < 0.3]
    assert seen[30, near].max() < -0.1, "at the apex"
    assert seen[15].abs().max() > 0.1 > 10 * seen[2, near].abs().max(), "long before it is far away"


def test_crops_may_come_in_any_order(flow):
    pixels, times = crops(40)
    groups = torch.arange(40) % 2
    shuffled = torch.randperm(40)
    wanted = flow(pixels, times=times, groups=groups)[shuffled]
    got = flow(pixels[shuffled], times=times[shuffled], groups=groups[shuffled])
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_groups_are_independent(flow):
    pixels, times = crops(40)
    groups = (torch.arange(40) >= 25).long()
    together = flow(pixels, times=times, groups=groups)
    alone = flow(pixels[:25], times=times[:25], groups=groups[:25])
    torch.testing.assert_close(together[:25], alone, atol=1e-5, rtol=1e-5)


def test_brightness_cancels_out(flow):
    pixels, times = crops(40)
    groups = torch.zeros(40, dtype=torch.long)
    brightness = torch.linspace(0, 1, 40)[:, None, None, None]
    moved = flow(pixels, times=times, groups=groups)
    other = flow(pixels + brightness, times=times, groups=groups)
    torch.testing.assert_close(other, moved, atol=2e-2, rtol=2e-2)
