from dataclasses import replace

import numpy as np
import pytest

from microemo.inference.micro_events import MicroEventRule, find_micro_expressions

FPS = 25
# Log-odds of 0.1 and 0.9 are opposite numbers, so an event that peaks at 0.9 is measured where they pass zero.
PLAIN = MicroEventRule(enter=0.5, leave=0.3, rest=0.1, smooth_seconds=0.0)


def events_of(scores, *, times=None, **arguments):
    scores = np.asarray(scores, dtype=float)
    times = np.arange(len(scores)) / FPS if times is None else np.asarray(times)
    found = find_micro_expressions(times, scores=scores, track_id=1, **{"rule": PLAIN, **arguments})
    return [(event.onset_seconds, event.apex_seconds, event.offset_seconds) for event in found]


@pytest.mark.parametrize(
    ("name", "scores", "expected"),
    [
        ("nothing", [0.1] * 10, []),
        ("empty", [], []),
        ("below enter", [0.1, 0.4, 0.45, 0.4, 0.1], []),
        ("a plain event", [0.1, 0.9, 0.9, 0.9, 0.1, 0.1], [(0.02, 0.04, 0.14)]),
        ("one crop reaches half way to its neighbours", [0.1, 0.1, 0.9, 0.1, 0.1], [(0.06, 0.08, 0.1)]),
        # Half way from -2.197 (0.1) to 0.201 (0.55) is -0.998, passed 0.669 of a crop after 0.1.
        ("a faint event is wide", [0.1, 0.4, 0.55, 0.4, 0.1], [(0.027, 0.08, 0.133)]),
        # Half way to 4.595 (0.99) is 1.199, passed 0.321 of a crop after 0.4 (-0.405).
        ("a strong event is narrow", [0.1, 0.4, 0.99, 0.4, 0.1], [(0.053, 0.08, 0.107)]),
        ("begins before it is seen", [0.9, 0.9, 0.1, 0.1], [(0.0, 0.0, 0.06)]),
        ("goes on after it is seen", [0.1, 0.1, 0.9, 0.9], [(0.06, 0.08, 0.12)]),
        ("too short", [0, 0, 0.9, 0, 0, 0], []),
        ("too long", [0.1] + [0.9] * 14 + [0.1], []),
        ("trembling is one event", [0.1, 0.9, 0.4, 0.9, 0.35, 0.9, 0.1], [(0.02, 0.04, 0.22)]),
        ("a short dip is bridged", [0.1, 0.9, 0.2, 0.2, 0.9, 0.1], [(0.02, 0.04, 0.18)]),
        ("two events", [0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1], [(0.02, 0.04, 0.06), (0.22, 0.24, 0.26)]),
    ],
)
def test_events(name, scores, expected):
    assert events_of(scores) == expected


def test_bridged_flicker_is_no_row_of_micro_expressions():
    flicker = [0, *([0.8, 0.8, 0.25] * 6), 0.8, 0]
    assert events_of(flicker) == []
    assert len(events_of(flicker, rule=replace(PLAIN, merge_seconds=0.0, shortest_seconds=0.0))) == 7


def test_scores_are_averaged_over_what_is_near_in_time():
    smooth = replace(PLAIN, smooth_seconds=0.08)  # one crop on each side
    assert events_of([0, 0, 0.9, 0, 0, 0], rule=smooth) == []
    # 0.45, 0.6, 0.9, 0.6, 0.3, 0 on average
    assert events_of([0, 0.9, 0.9, 0.9, 0, 0], rule=smooth) == [(0.013, 0.08, 0.133)]
    far_apart = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert events_of([0.1, 0.1, 0.9, 0.1, 0.1, 0.1], rule=smooth, times=far_apart) == [(0.15, 0.2, 0.25)]


def test_a_movement_that_one_crop_shows_is_none_by_default():
    times = np.arange(20) / 30
    assert events_of([0] * 9 + [1.0] + [0] * 10, times=times, rule=None) == []
    assert len(events_of([0] * 6 + [1.0] * 8 + [0] * 6, times=times, rule=None)) == 1


def test_nothing_joins_across_a_blind_gap():
    times = [0.0, 0.04, 0.08, 0.48, 0.52, 0.56]
    assert events_of([0, 0.6, 0.8, 0.8, 0.6, 0], times=times) == [(0.037, 0.08, 0.08), (0.48, 0.48, 0.523)]


def test_uneven_times_count_not_indices():
    dense, sparse = np.arange(6) * 0.04, np.arange(6) * 0.18
    scores = [0, 0.6, 0.9, 0.9, 0.6, 0]
    assert len(events_of(scores, times=dense)) == 1
    assert events_of(scores, times=sparse) == []  # 0.54 s: an ordinary expression


def test_active_units_are_named_at_the_apex():
    units = np.zeros((5, 3))
    units[2] = [0.6, 0.2, 0.9]
    units[1] = [0.0, 1.0, 0.0]
    (event,) = find_micro_expressions(
        np.arange(5) / FPS,
        scores=np.array([0, 0.6, 0.9, 0.6, 0]),
        track_id=7,
        action_units=units,
        action_unit_labels=("AU1", "AU4", "AU12"),
        rule=PLAIN,
    )
    assert [(unit.label, unit.probability) for unit in event.action_units] == [("AU12", 0.9), ("AU1", 0.6)]
    assert event.track_id == 7 and event.score == 0.9


def test_a_later_clock_moves_every_time():
    scores = np.array([0, 0.6, 0.9, 0.6, 0])
    early, late = events_of(scores), events_of(scores, times=np.arange(5) / FPS + 60)
    assert np.allclose(np.array(late) - np.array(early), 60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"times": [0.0, 0.1]}, "times has 2 entries, scores has 3"),
        ({"times": [0.0, 0.2, 0.1]}, "times must increase"),
        ({"action_units": np.zeros((3, 2))}, r"action_units must have shape \(3, 0\), got \(3, 2\)"),
    ],
)
def test_arrays_that_do_not_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        events_of([0, 0.6, 0], **arguments)


def test_logits_are_no_scores():
    with pytest.raises(ValueError, match=r"scores must be probabilities in \[0, 1\]"):
        events_of([-3.0, 2.0, 0.5])


@pytest.mark.parametrize("levels", [{"enter": 0.2}, {"leave": 0.0}, {"enter": 1.0}, {"leave": 0.8}])
def test_impossible_levels(levels):
    with pytest.raises(ValueError, match="0 < leave <= enter < 1"):
        MicroEventRule(**levels)


@pytest.mark.parametrize("rest", [0.0, 0.35])
def test_impossible_rest(rest):
    with pytest.raises(ValueError, match=rf"rest \({rest}\) must be > 0 and <= leave \(0.3\)"):
        MicroEventRule(rest=rest)


def test_impossible_smoothing():
    with pytest.raises(ValueError, match=r"smooth_seconds \(-0.1\) must be >= 0"):
        MicroEventRule(smooth_seconds=-0.1)


def test_impossible_durations():
    with pytest.raises(ValueError, match=r"shortest_seconds \(0.6\) must be >= 0 and < longest_seconds \(0.5\)"):
        MicroEventRule(shortest_seconds=0.6)
