"""Edges of a rise."""

import numpy as np
import pytest

from microemo.inference.event_edges import Rise, half_height, log_odds

REST, PEAK = -3.0, 5.0
TIMES = np.arange(31) / 30


def triangle(*, half_width, middle=0.5, peak=PEAK):
    """Log-odds that rise from rest to the peak and fall again."""
    return REST + (peak - REST) * np.clip(1 - np.abs(TIMES - middle) / half_width, 0, None)


def edges(odds, *, first, last, run=(0, 30)):
    found = half_height(TIMES, odds, rise=Rise(first, last, TIMES[first], TIMES[last]), run=run, rest=REST)
    return found.onset, found.offset


@pytest.mark.parametrize("peak", [-1.0, 0.0, 5.0, 9.0])
def test_how_long_an_event_is_does_not_depend_on_how_sure_the_model_is(peak):
    odds = triangle(half_width=0.2, peak=peak)
    assert edges(odds, first=13, last=17) == pytest.approx((0.4, 0.6))


@pytest.mark.parametrize(("first", "last"), [(15, 15), (11, 19), (10, 20)])
def test_crops_are_followed_outwards_or_left_out(first, last):
    assert edges(triangle(half_width=0.2), first=first, last=last) == pytest.approx((0.4, 0.6))


def test_the_crops_of_a_rise_go_with_its_edges():
    found = half_height(TIMES, triangle(half_width=0.22), rise=Rise(15, 15, 0.5, 0.5), run=(0, 30), rest=REST)
    assert (found.first, found.last) == (12, 18)  # 0.4 and 0.6; the edges are 0.39 and 0.61
    assert found.onset <= TIMES[found.first] and TIMES[found.last] <= found.offset


def test_what_is_cut_off_ends_at_the_last_crop_that_was_seen():
    assert edges(triangle(half_width=0.4), first=14, last=16, run=(13, 17)) == (TIMES[13], TIMES[17])


def test_certainty_is_bounded():
    odds = log_odds(np.array([0.0, 0.5, 1.0]))
    assert odds[1] == 0 and odds[0] == pytest.approx(-odds[2]) and 9 < odds[2] < 10
