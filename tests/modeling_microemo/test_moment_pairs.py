"""Pairs of moments: nothing is looked at twice, and everything is found again."""

import pytest
import torch

from microemo.moment_pairs import moment_pairs
from microemo.time_band import moments_at

LAGS = (-1.0, -0.2, 0.2, 1.0)
EVEN = (torch.arange(60) / 10, torch.zeros(60, dtype=torch.long))
TWO_PERSONS = (torch.cat((torch.arange(40), torch.arange(20))) / 10, (torch.arange(60) >= 40).long())
UNEVEN = (torch.rand(60, generator=torch.Generator().manual_seed(0)).sort().values * 6, EVEN[1])
ALONE = (torch.zeros(1), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize(("times", "groups"), [EVEN, TWO_PERSONS, UNEVEN, ALONE])
def test_each_moment_finds_its_others(times, groups):
    pairs = moment_pairs(times, groups, lags_seconds=LAGS)
    for column, lag in enumerate(LAGS):
        first, second = pairs.first[pairs.place[:, column]], pairs.second[pairs.place[:, column]]
        forward = pairs.forward[:, column]
        assert torch.equal(torch.where(forward, first, second), torch.arange(len(times)))
        assert torch.equal(torch.where(forward, second, first), moments_at(times, groups, seconds=lag))


@pytest.mark.parametrize(("times", "groups"), [EVEN, TWO_PERSONS, UNEVEN, ALONE])
def test_no_pair_stands_there_twice(times, groups):
    pairs = moment_pairs(times, groups, lags_seconds=LAGS)
    both = torch.stack((pairs.first, pairs.second), dim=1)
    assert len(both.unique(dim=0)) == len(both) and (pairs.first <= pairs.second).all()


def test_at_even_times_half_of_the_looks_are_saved():
    times, groups = EVEN
    assert len(moment_pairs(times, groups, lags_seconds=LAGS).first) <= len(times) * len(LAGS) / 2 + 12
