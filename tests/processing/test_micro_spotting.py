"""Peaks of the micro-expression probability: which ones count, and their onset and offset."""

from dataclasses import replace

import numpy as np
import pytest

from microemo.processing.micro_spotting import (
    MicroExpressionRule,
    Peak,
    find_peaks,
    half_height,
    log_odds,
    moving_average,
)

FPS = 25
# The log-odds of 0.1 and 0.9 are opposite, so an event with its peak at 0.9 has its edges where they cross zero.
PLAIN = MicroExpressionRule(enter=0.5, leave=0.3, rest=0.1, smooth_seconds=0.0)


def edges_of(scores, *, times=None, rule=PLAIN):
    """Onset and offset of each peak, rounded to milliseconds."""
    scores = np.asarray(scores, dtype=float)
    times = np.arange(len(scores)) / FPS if times is None else np.asarray(times)
    smoothed = moving_average(times, scores, seconds=rule.smooth_seconds)
    return [(round(peak.onset, 3), round(peak.offset, 3)) for peak in find_peaks(times, smoothed, rule=rule)]


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
def test_peaks(name, scores, expected):
    assert edges_of(scores) == expected


def test_merged_flicker_is_too_long_for_an_event():
    flicker = [0, *([0.8, 0.8, 0.25] * 6), 0.8, 0]
    assert edges_of(flicker) == []
    assert len(edges_of(flicker, rule=replace(PLAIN, merge_seconds=0.0, shortest_seconds=0.0))) == 7


def test_scores_are_smoothed_by_time():
    smooth = replace(PLAIN, smooth_seconds=0.08)  # one crop on each side
    assert edges_of([0, 0, 0.9, 0, 0, 0], rule=smooth) == []
    # 0.45, 0.6, 0.9, 0.6, 0.3, 0 on average
    assert edges_of([0, 0.9, 0.9, 0.9, 0, 0], rule=smooth) == [(0.013, 0.133)]
    far_apart = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert edges_of([0.1, 0.1, 0.9, 0.1, 0.1, 0.1], rule=smooth, times=far_apart) == [(0.15, 0.25)]


def test_a_peak_in_a_single_crop_is_ignored_by_default():
    times = np.arange(20) / 30
    assert edges_of([0] * 9 + [1.0] + [0] * 10, times=times, rule=MicroExpressionRule()) == []
    assert len(edges_of([0] * 6 + [1.0] * 8 + [0] * 6, times=times, rule=MicroExpressionRule())) == 1


def test_events_are_not_joined_across_an_unobserved_gap():
    times = [0.0, 0.04, 0.08, 0.48, 0.52, 0.56]
    assert edges_of([0, 0.6, 0.8, 0.8, 0.6, 0], times=times) == [(0.037, 0.08), (0.48, 0.523)]


def test_crops_at_the_maximum_distance_are_contiguous():
    times = np.arange(5) * 0.2 + 0.7  # 0.2 apart, but for rounding
    assert len(edges_of([0, 0.6, 0.9, 0.6, 0], times=times, rule=replace(PLAIN, blind_seconds=0.2))) == 1


def test_durations_are_measured_in_seconds_not_crops():
    dense, sparse = np.arange(6) * 0.04, np.arange(6) * 0.18
    scores = [0, 0.6, 0.9, 0.9, 0.6, 0]
    assert len(edges_of(scores, times=dense)) == 1
    assert edges_of(scores, times=sparse) == []  # 0.54 s: an ordinary expression


def test_moving_averages_stay_probabilities():
    times = np.arange(300) / 30
    assert moving_average(times, np.ones(300), seconds=0.1).max() <= 1.0
    assert len(moving_average(times[:0], np.zeros(0), seconds=0.1)) == 0


REST, PEAK = -3.0, 5.0
TIMES = np.arange(31) / 30


def triangle(*, half_width, middle=0.5, peak=PEAK):
    """Log-odds that rise from rest to the peak and fall again."""
    return REST + (peak - REST) * np.clip(1 - np.abs(TIMES - middle) / half_width, 0, None)


def half_edges(odds, *, first, last, run=(0, 30)):
    peak = half_height(TIMES, odds, peak=Peak(first, last, TIMES[first], TIMES[last]), run=run, rest=REST)
    return peak.onset, peak.offset


@pytest.mark.parametrize("peak", [-1.0, 0.0, 5.0, 9.0])
def test_duration_does_not_depend_on_confidence(peak):
    odds = triangle(half_width=0.2, peak=peak)
    assert half_edges(odds, first=13, last=17) == pytest.approx((0.4, 0.6))


@pytest.mark.parametrize(("first", "last"), [(15, 15), (11, 19), (10, 20)])
def test_half_height_extends_or_trims_the_crops(first, last):
    assert half_edges(triangle(half_width=0.2), first=first, last=last) == pytest.approx((0.4, 0.6))


def test_crops_of_a_peak_match_its_edges():
    peak = half_height(TIMES, triangle(half_width=0.22), peak=Peak(15, 15, 0.5, 0.5), run=(0, 30), rest=REST)
    assert (peak.first, peak.last) == (12, 18)  # 0.4 and 0.6; the edges are 0.39 and 0.61
    assert peak.onset <= TIMES[peak.first] and TIMES[peak.last] <= peak.offset


def test_a_truncated_peak_ends_at_the_last_observed_crop():
    assert half_edges(triangle(half_width=0.4), first=14, last=16, run=(13, 17)) == (TIMES[13], TIMES[17])


def test_log_odds_are_bounded():
    odds = log_odds(np.array([0.0, 0.5, 1.0]))
    assert odds[1] == 0 and odds[0] == pytest.approx(-odds[2]) and 9 < odds[2] < 10


@pytest.mark.parametrize("levels", [{"enter": 0.2}, {"leave": 0.0}, {"enter": 1.0}, {"leave": 0.8}])
def test_invalid_levels_are_refused(levels):
    with pytest.raises(ValueError, match="0 < leave <= enter < 1"):
        MicroExpressionRule(**levels)


@pytest.mark.parametrize("rest", [0.0, 0.35])
def test_invalid_rest_is_refused(rest):
    with pytest.raises(ValueError, match=rf"rest \({rest}\) must be > 0 and <= leave \(0.3\)"):
        MicroExpressionRule(rest=rest)


def test_negative_smoothing_is_refused():
    with pytest.raises(ValueError, match=r"smooth_seconds \(-0.1\) must be >= 0"):
        MicroExpressionRule(smooth_seconds=-0.1)


def test_invalid_durations_are_refused():
    with pytest.raises(ValueError, match=r"shortest_seconds \(0.6\) must be >= 0 and < longest_seconds \(0.5\)"):
        MicroExpressionRule(shortest_seconds=0.6)
