"""Micro-dynamics: equivalence of banded and dense attention, and invariances."""

import pytest
import torch
from tiny_model import PART

from microemo import MicroEmoDynamicsConfig
from microemo.attention import attend, merge_heads, split_heads
from microemo.dynamics_layer import TemporalAttention
from microemo.micro_dynamics import MicroDynamics, mirrored_regions
from microemo.motion_stem import LAGS_SECONDS, MotionStem
from microemo.time_band import farthest_neighbour, lagged_indices, pack_order, time_band
from microemo.time_embedding import rotate_by_time

WINDOW = 0.5


@pytest.fixture
def config():
    return MicroEmoDynamicsConfig(**PART, encoder_hidden_size=12, max_regions=4, dynamics_window_seconds=WINDOW)


@pytest.fixture
def dynamics(config):
    torch.manual_seed(0)
    dynamics = MicroDynamics(config).eval()
    for parameter in dynamics.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return dynamics


def crops(count, *, seed=0, fps=30.0):
    generator = torch.Generator().manual_seed(seed)
    times = torch.arange(count) / fps + torch.rand(count, generator=generator) * 0.01
    regions = torch.randn(count, 4, 12, generator=generator)
    return regions, torch.randn(count, 3, 16, 16, generator=generator), times


def sees(times, groups):
    """(N, N) bool, the dense mask equivalent to the band."""
    near = (times[:, None] - times[None]).abs() <= WINDOW + 1e-4
    return near & (groups[:, None] == groups[None])


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
@pytest.mark.parametrize("fps", [3.0, 30.0, 120.0])
def test_banded_attention_equals_dense_attention(config, count, fps):
    torch.manual_seed(0)
    attention = TemporalAttention(config).eval()
    _, _, times = crops(count, fps=fps)
    groups = (torch.arange(count) >= count // 3).long()
    states = torch.randn(count, 4, 32)
    banded = attention(states, times, time_band(times, groups, window_seconds=WINDOW))

    query, key, value = (
        split_heads(projection(states.transpose(0, 1)), num_heads=2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )  # (R, H, N, d)
    query, key = (rotate_by_time(part, times, window_seconds=WINDOW) for part in (query, key))
    dense = attend(query, key, value, mask=sees(times, groups), implementation="eager")
    dense = attention.o_proj(merge_heads(dense)).transpose(0, 1)
    torch.testing.assert_close(banded, dense, atol=1e-5, rtol=1e-5)


def test_band_mean_is_over_visible_steps():
    regions, _, times = crops(70)
    groups = (torch.arange(70) >= 30).long()
    weights = sees(times, groups).float()
    wanted = torch.einsum("nm,mrc->nrc", weights / weights.sum(1, keepdim=True), regions)
    band = time_band(times, groups, window_seconds=WINDOW)
    torch.testing.assert_close(band.mean(regions), wanted, atol=1e-5, rtol=1e-5)


def test_the_band_grows_with_the_length_and_not_its_square():
    sizes = []
    for count in (500, 1000, 2000):
        times = torch.arange(count) / 30.0
        band = time_band(times, torch.zeros(count, dtype=torch.long), window_seconds=WINDOW)
        sizes.append(band.visible.numel() / count)
    assert max(sizes) / min(sizes) < 1.1


def test_neighbours_end_at_gaps_and_at_other_persons():
    times, groups = torch.tensor([0.0, 0.1, 2.0, 2.1, 2.2]), torch.tensor([0, 0, 0, 0, 1])
    band = time_band(times, groups, window_seconds=WINDOW)
    assert band.previous.tolist() == [0, 0, 2, 2, 4]
    assert band.following.tolist() == [1, 1, 3, 3, 4]
    assert farthest_neighbour(times, groups, window_seconds=WINDOW) == 1


def test_lagged_index_is_nearest_within_the_group():
    times, groups = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.0, 0.1, 0.25]), torch.tensor([0, 0, 0, 0, 1, 1, 1])
    assert lagged_indices(times, groups, seconds=0.13).tolist() == [1, 2, 3, 3, 5, 6, 6]
    assert lagged_indices(times, groups, seconds=-0.13).tolist() == [0, 0, 1, 2, 4, 4, 5]
    assert lagged_indices(times, groups, seconds=9.0).tolist() == [3, 3, 3, 3, 6, 6, 6]
    assert lagged_indices(times, groups, seconds=-9.0).tolist() == [0, 0, 0, 0, 4, 4, 4]


@pytest.mark.parametrize(("fps", "count"), [(15.0, 30), (30.0, 60), (24.0, 1)])
def test_lagged_indices_equal_dense_search(fps, count):
    _, _, times = crops(count, fps=fps)
    groups = (torch.arange(count) >= count // 3).long()
    for lag in LAGS_SECONDS:
        distance = (times[None] - (times[:, None] + lag)).abs().masked_fill(groups[:, None] != groups[None], torch.inf)
        index = lagged_indices(times, groups, seconds=lag)
        torch.testing.assert_close(
            distance.gather(1, index[:, None]).squeeze(1), distance.min(1).values, atol=1e-4, rtol=0
        )


def test_slow_movement_has_large_differences_at_its_apex(config):
    """A movement of half a second changes little between adjacent crops, but clearly over a quarter of a second."""
    stem, inputs = MotionStem(config), []
    stem._encode = lambda changes: inputs.append(changes) or torch.zeros(len(changes), 1)
    times = torch.arange(60) / 30
    strength = (1 - (times - 1.0).abs() / 0.25).clamp(min=0)
    groups = torch.zeros(60, dtype=torch.long)
    band = time_band(times, groups, window_seconds=WINDOW)
    stem(strength[:, None, None, None].expand(60, 3, 112, 112), band=band, times=times, groups=groups)
    changes = torch.cat(inputs)[30].mean((1, 2))  # at the apex
    assert changes[1:3].max() < 0.2 and changes[3:].min() > 0.45


def test_crops_are_packed_by_person_and_time():
    times, groups = torch.tensor([3.0, 1.0, 2.0, 0.5]), torch.tensor([0, 1, 0, 1])
    assert pack_order(times, groups).tolist() == [2, 0, 3, 1]


def test_crops_may_come_in_any_order(dynamics):
    regions, pixels, times = crops(40)
    groups = torch.arange(40) % 2
    shuffled = torch.randperm(40)
    wanted = dynamics(regions, pixel_values=pixels, times=times, groups=groups)[shuffled]
    got = dynamics(regions[shuffled], pixel_values=pixels[shuffled], times=times[shuffled], groups=groups[shuffled])
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_groups_are_independent(dynamics):
    regions, pixels, times = crops(40)
    groups = torch.arange(40) % 2
    together = dynamics(regions, pixel_values=pixels, times=times, groups=groups)
    alone = dynamics(regions[::2], pixel_values=pixels[::2], times=times[::2], groups=groups[::2])
    torch.testing.assert_close(together[::2], alone, atol=1e-5, rtol=1e-5)


def test_only_time_differences_matter(dynamics):
    regions, pixels, times = crops(40)
    groups = torch.zeros(40, dtype=torch.long)
    early, late = (
        dynamics(regions, pixel_values=pixels, times=times, groups=groups),
        dynamics(regions, pixel_values=pixels, times=times + 16, groups=groups),
    )
    torch.testing.assert_close(early, late, atol=1e-3, rtol=1e-3)  # float32 rounds the later times


def test_the_pace_matters(dynamics):
    regions, pixels, times = crops(40)
    groups = torch.zeros(40, dtype=torch.long)
    fast, slow = (
        dynamics(regions, pixel_values=pixels, times=times, groups=groups),
        dynamics(regions, pixel_values=pixels, times=times * 1.5, groups=groups),
    )
    assert not torch.allclose(fast, slow, atol=1e-2)


def test_a_change_reaches_no_farther_than_the_windows_of_the_layers(dynamics):
    regions, pixels, times = crops(120)
    groups = torch.zeros(120, dtype=torch.long)
    changed = regions.clone()
    changed[60] = torch.randn(4, 12)
    before = dynamics(regions, pixel_values=pixels, times=times, groups=groups)
    difference = before - dynamics(changed, pixel_values=pixels, times=times, groups=groups)
    touched = difference.abs().amax((1, 2)) > 1e-6
    # One window for the difference to the mean, and one for each of the two layers.
    assert touched[60]
    assert not touched[(times - times[60]).abs() > 3 * (WINDOW + 0.01)].any()


def test_too_many_regions_are_refused(dynamics):
    with pytest.raises(ValueError, match=r"returns 5 regions per crop, more than dynamics_config.max_regions \(4\)"):
        dynamics(
            torch.randn(3, 5, 12),
            pixel_values=torch.randn(3, 3, 16, 16),
            times=torch.arange(3.0),
            groups=torch.zeros(3, dtype=torch.long),
        )


def test_times_in_half_precision_are_refused(dynamics):
    with pytest.raises(ValueError, match="face_times must be float32 or float64, got torch.bfloat16"):
        dynamics(
            torch.randn(3, 4, 12),
            pixel_values=torch.randn(3, 3, 16, 16),
            times=torch.arange(3).bfloat16(),
            groups=torch.zeros(3, dtype=torch.long),
        )


def test_movement_is_detected_from_pixels_with_constant_regions(dynamics):
    regions, pixels, times = crops(40)
    regions, pixels = regions[:1].expand(40, -1, -1), pixels[:1].repeat(40, 1, 1, 1)
    groups = torch.zeros(40, dtype=torch.long)
    still = dynamics(regions, pixel_values=pixels, times=times, groups=groups)
    pixels[20] = pixels[20].roll(1, dims=-1)
    moved = dynamics(regions, pixel_values=pixels, times=times, groups=groups)
    assert (still - moved)[20, 0].abs().max() > 1e-3


def test_identity_and_lighting_cancel_out(dynamics):
    regions, pixels, times = crops(40)
    groups = torch.zeros(40, dtype=torch.long)
    moved = dynamics.movement(regions, pixel_values=pixels, times=times, groups=groups)
    other = dynamics.movement(regions, pixel_values=pixels + torch.randn(1, 3, 16, 16), times=times, groups=groups)
    torch.testing.assert_close(other, moved, atol=1e-3, rtol=1e-3)


class TestTheMirroredView:
    @pytest.fixture
    def seeing_both(self, config, dynamics):
        both = MicroDynamics(MicroEmoDynamicsConfig(**{**config.to_dict(), "use_mirrored_view": True})).eval()
        both.load_state_dict(dynamics.state_dict())
        return both

    def test_movement_and_flow_are_averaged_over_both_views(self, dynamics, seeing_both):
        regions, pictures, times = crops(40)
        groups = torch.zeros(40, dtype=torch.long)
        plain = dynamics(regions, pixel_values=pictures, times=times, groups=groups)
        swapped = regions[:, [1, 0, 3, 2]]  # 2 x 2 regions
        mirrored = dynamics(swapped, pixel_values=pictures.flip(-1), times=times, groups=groups)
        tokens = seeing_both(regions, pixel_values=pictures, times=times, groups=groups)
        torch.testing.assert_close(tokens[:, :2], (plain[:, :2] + mirrored[:, :2]) / 2)
        torch.testing.assert_close(tokens[:, 2:], plain[:, 2:])
        assert not torch.allclose(plain[:, :2], mirrored[:, :2], atol=1e-3)

    def test_flipped_face_has_equal_tokens(self, seeing_both):
        regions, pictures, times = crops(40)
        groups = torch.zeros(40, dtype=torch.long)
        tokens = seeing_both(regions, pixel_values=pictures, times=times, groups=groups)
        mirrored = seeing_both(mirrored_regions(regions), pixel_values=pictures.flip(-1), times=times, groups=groups)
        torch.testing.assert_close(tokens[:, :2], mirrored[:, :2])

    def test_regions_are_flipped_by_row_without_the_class_token(self):
        numbers = torch.arange(9.0).view(1, 9, 1)
        wanted = [2, 1, 0, 5, 4, 3, 8, 7, 6]
        assert mirrored_regions(numbers).flatten().tolist() == wanted
        with_class = torch.cat((torch.full((1, 1, 1), -1.0), numbers), dim=1)
        assert mirrored_regions(with_class).flatten().tolist() == [-1, *wanted]
        assert mirrored_regions(numbers[:, :0]).shape == (1, 0, 1)

    def test_non_square_regions_are_refused(self):
        with pytest.raises(ValueError, match="use_mirrored_view needs a square grid of regions.*got 7"):
            mirrored_regions(torch.zeros(1, 7, 3))
