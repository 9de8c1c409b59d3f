"""Rises of the micro-expression probability: which count, and where they begin and end."""

from dataclasses import replace

import numpy as np
import pytest

from microemo.processing.micro_spotting import MicroExpressionRule, Rise, half_height, log_odds, rises_of, window_mean

FPS = 25
# Log-odds of 0.1 and 0.9 are opposite numbers, so an event that peaks at 0.9 is measured where they pass zero.
PLAIN = MicroExpressionRule(enter=0.5, leave=0.3, rest=0.1, smooth_seconds=0.0)


def edges_of(scores, *, times=None, rule=PLAIN):
    """Onset and offset of each rise, to the millisecond."""
    scores = np.asarray(scores, dtype=float)
    times = np.arange(len(scores)) / FPS if times is None else np.asarray(times)
    smoothed = window_mean(times, scores, seconds=rule.smooth_seconds)
    return [(round(rise.onset, 3), round(rise.offset, 3)) for rise in rises_of(times, smoothed, rule=rule)]


@pytest.mark.parametrize(
    ("name", "scores", "expected"),
    [
        ("nothing", [0.1] * 10, []),
        ("empty", [], []),
        ("below enter", [0.1, 0.4, 0.45, 0.4, 0.1], []),
        ("a plain event", [0.1, 0.9, 0.9, 0.9, 0.1, 0.1], [(0.02, 0.14)]),
        ("one crop reaches half way to its neighbours", [0.1, 0.1, 0.9, 0.1, 0.1], [(0.06, 0.1)]),
        # Half way from -2.197 (0.1) to 0.201 (0.55) is -0.998, passed 0.669 of a crop after 0.1.
        ("a faint event is wide", [0.1, 0.4, 0.55, 0.4, 0.1], [(0.027, 0.133)]),
        # Half way to 4.595 (0.99) is 1.199, passed 0.321 of a crop after 0.4 (-0.405).
        ("a strong event is narrow", [0.1, 0.4, 0.99, 0.4, 0.1], [(0.053, 0.107)]),
        ("begins before it is seen", [0.9, 0.9, 0.1, 0.1], [(0.0, 0.06)]),
        ("goes on after it is seen", [0.1, 0.1, 0.9, 0.9], [(0.06, 0.12)]),
        ("too short", [0, 0, 0.9, 0, 0, 0], []),
        ("too long", [0.1] + [0.9] * 14 + [0.1], []),
        ("trembling is one event", [0.1, 0.9, 0.4, 0.9, 0.35, 0.9, 0.1], [(0.02, 0.22)]),
        ("a short dip is bridged", [0.1, 0.9, 0.2, 0.2, 0.9, 0.1], [(0.02, 0.18)]),
        ("two events", [0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1], [(0.02, 0.06), (0.22, 0.26)]),
    ],
)
def test_rises(name, scores, expected):
    assert edges_of(scores) == expected


def test_bridged_flicker_is_no_row_of_events():
    flicker = [0, *([0.8, 0.8, 0.25] * 6), 0.8, 0]
    assert edges_of(flicker) == []
    assert len(edges_of(flicker, rule=replace(PLAIN, merge_seconds=0.0, shortest_seconds=0.0))) == 7


def test_scores_are_averaged_over_what_is_near_in_time():
    smooth = replace(PLAIN, smooth_seconds=0.08)  # one crop on each side
    assert edges_of([0, 0, 0.9, 0, 0, 0], rule=smooth) == []
    # 0.45, 0.6, 0.9, 0.6, 0.3, 0 on average
    assert edges_of([0, 0.9, 0.9, 0.9, 0, 0], rule=smooth) == [(0.013, 0.133)]
    far_apart = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert edges_of([0.1, 0.1, 0.9, 0.1, 0.1, 0.1], rule=smooth, times=far_apart) == [(0.15, 0.25)]


def test_a_movement_that_one_crop_shows_is_none_by_default():
    times = np.arange(20) / 30
    assert edges_of([0] * 9 + [1.0] + [0] * 10, times=times, rule=MicroExpressionRule()) == []
    assert len(edges_of([0] * 6 + [1.0] * 8 + [0] * 6, times=times, rule=MicroExpressionRule())) == 1


def test_nothing_joins_across_a_blind_gap():
    times = [0.0, 0.04, 0.08, 0.48, 0.52, 0.56]
    assert edges_of([0, 0.6, 0.8, 0.8, 0.6, 0], times=times) == [(0.037, 0.08), (0.48, 0.523)]


def test_crops_exactly_as_far_apart_as_allowed_are_no_gap():
    times = np.arange(5) * 0.2 + 0.7  # 0.2 apart, but for rounding
    assert len(edges_of([0, 0.6, 0.9, 0.6, 0], times=times, rule=replace(PLAIN, blind_seconds=0.2))) == 1


def test_uneven_times_count_not_indices():
    dense, sparse = np.arange(6) * 0.04, np.arange(6) * 0.18
    scores = [0, 0.6, 0.9, 0.9, 0.6, 0]
    assert len(edges_of(scores, times=dense)) == 1
    assert edges_of(scores, times=sparse) == []  # 0.54 s: an ordinary expression


def test_averages_stay_probabilities():
    times = np.arange(300) / 30
    assert window_mean(times, np.ones(300), seconds=0.1).max() <= 1.0
    assert len(window_mean(times[:0], np.zeros(0), seconds=0.1)) == 0


REST, PEAK = -3.0, 5.0
TIMES = np.arange(31) / 30


def triangle(*, half_width, middle=0.5, peak=PEAK):
    """Log-odds that rise from rest to the peak and fall again."""
    return REST + (peak - REST) * np.clip(1 - np.abs(TIMES - middle) / half_width, 0, None)


def half_edges(odds, *, first, last, run=(0, 30)):
    rise = half_height(TIMES, odds, rise=Rise(first, last, TIMES[first], TIMES[last]), run=run, rest=REST)
    return rise.onset, rise.offset


@pytest.mark.parametrize("peak", [-1.0, 0.0, 5.0, 9.0])
def test_how_long_an_event_is_does_not_depend_on_how_sure_the_model_is(peak):
    odds = triangle(half_width=0.2, peak=peak)
    assert half_edges(odds, first=13, last=17) == pytest.approx((0.4, 0.6))


@pytest.mark.parametrize(("first", "last"), [(15, 15), (11, 19), (10, 20)])
def test_crops_are_followed_outwards_or_left_out(first, last):
    assert half_edges(triangle(half_width=0.2), first=first, last=last) == pytest.approx((0.4, 0.6))


def test_the_crops_of_a_rise_go_with_its_edges():
    rise = half_height(TIMES, triangle(half_width=0.22), rise=Rise(15, 15, 0.5, 0.5), run=(0, 30), rest=REST)
    assert (rise.first, rise.last) == (12, 18)  # 0.4 and 0.6; the edges are 0.39 and 0.61
    assert rise.onset <= TIMES[rise.first] and TIMES[rise.last] <= rise.offset


def test_what_is_cut_off_ends_at_the_last_crop_that_was_seen():
    assert half_edges(triangle(half_width=0.4), first=14, last=16, run=(13, 17)) == (TIMES[13], TIMES[17])


def test_certainty_is_bounded():
    odds = log_odds(np.array([0.0, 0.5, 1.0]))
    assert odds[1] == 0 and odds[0] == pytest.approx(-odds[2]) and 9 < odds[2] < 10


@pytest.mark.parametrize("levels", [{"enter": 0.2}, {"leave": 0.0}, {"enter": 1.0}, {"leave": 0.8}])
def test_impossible_levels(levels):
    with pytest.raises(ValueError, match="0 < leave <= enter < 1"):
        MicroExpressionRule(**levels)


@pytest.mark.parametrize("rest", [0.0, 0.35])
def test_impossible_rest(rest):
    with pytest.raises(ValueError, match=rf"rest \({rest}\) must be > 0 and <= leave \(0.3\)"):
        MicroExpressionRule(rest=rest)


def test_impossible_smoothing():
    with pytest.raises(ValueError, match=r"smooth_seconds \(-0.1\) must be >= 0"):
        MicroExpressionRule(smooth_seconds=-0.1)


def test_impossible_durations():
    with pytest.raises(ValueError, match=r"shortest_seconds \(0.6\) must be >= 0 and < longest_seconds \(0.5\)"):
        MicroExpressionRule(shortest_seconds=0.6)
