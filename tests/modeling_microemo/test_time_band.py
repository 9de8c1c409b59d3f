"""Lagged pairs of time steps: pairs are distinct, and every comparison can be recovered from them."""

import pytest
import torch

from microemo.time_band import lagged_indices, lagged_pairs

LAGS = (-1.0, -0.2, 0.2, 1.0)
EVEN = (torch.arange(60) / 10, torch.zeros(60, dtype=torch.long))
TWO_PERSONS = (torch.cat((torch.arange(40), torch.arange(20))) / 10, (torch.arange(60) >= 40).long())
UNEVEN = (torch.rand(60, generator=torch.Generator().manual_seed(0)).sort().values * 6, EVEN[1])
ALONE = (torch.zeros(1), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize(("times", "groups"), [EVEN, TWO_PERSONS, UNEVEN, ALONE])
def test_pairs_contain_every_lagged_step(times, groups):
    pairs = lagged_pairs(times, groups, lags_seconds=LAGS)
    for column, lag in enumerate(LAGS):
        first, second = pairs.first[pairs.pair[:, column]], pairs.second[pairs.pair[:, column]]
        is_first = pairs.is_first[:, column]
        assert torch.equal(torch.where(is_first, first, second), torch.arange(len(times)))
        assert torch.equal(torch.where(is_first, second, first), lagged_indices(times, groups, seconds=lag))


@pytest.mark.parametrize(("times", "groups"), [EVEN, TWO_PERSONS, UNEVEN, ALONE])
def test_pairs_are_distinct(times, groups):
    pairs = lagged_pairs(times, groups, lags_seconds=LAGS)
    both = torch.stack((pairs.first, pairs.second), dim=1)
    assert len(both.unique(dim=0)) == len(both) and (pairs.first <= pairs.second).all()


def test_at_constant_frame_rate_pairs_are_half_of_the_comparisons():
    times, groups = EVEN
    assert len(lagged_pairs(times, groups, lags_seconds=LAGS).first) <= len(times) * len(LAGS) / 2 + 12
