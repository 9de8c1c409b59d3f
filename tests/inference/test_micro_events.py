from dataclasses import replace

import numpy as np
import pytest

from microemo.inference.micro_events import MicroEventRule, find_micro_expressions

FPS = 25
PLAIN = MicroEventRule(enter=0.5, leave=0.3, smooth_seconds=0.0)


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
        ("below enter", [0, 0.4, 0.45, 0.4, 0], []),
        # 0 -> 0.6 crosses 0.3 half way between crops 0 and 1, 0.6 -> 0 half way between 3 and 4.
        ("a plain event", [0, 0.6, 0.9, 0.6, 0, 0], [(0.02, 0.08, 0.14)]),
        ("one crop reaches out between its neighbours", [0, 0, 0.6, 0, 0], [(0.06, 0.08, 0.1)]),
        ("begins before it is seen", [0.9, 0.6, 0, 0], [(0.0, 0.0, 0.06)]),
        ("goes on after it is seen", [0, 0, 0.6, 0.9], [(0.06, 0.12, 0.12)]),
        ("too short", [0, 0, 0.5, 0, 0, 0], []),
        ("too long", [0] + [0.8] * 14 + [0], []),
        ("trembling is one event", [0, 0.6, 0.4, 0.6, 0.35, 0.7, 0], [(0.02, 0.2, pytest.approx(0.223))]),
        ("a short dip is bridged", [0, 0.6, 0.29, 0.29, 0.9, 0], [(0.02, 0.16, pytest.approx(0.187))]),
        ("two events", [0, 0.6, 0, 0, 0, 0, 0.6, 0], [(0.02, 0.04, 0.06), (0.22, 0.24, 0.26)]),
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
    assert events_of([0, 0.9, 0.9, 0.9, 0, 0], rule=smooth) == [(0.0, 0.08, 0.16)]
    far_apart = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert events_of([0, 0, 0.9, 0, 0, 0], rule=smooth, times=far_apart) == [
        (pytest.approx(0.133), 0.2, pytest.approx(0.267))
    ]


def test_a_movement_that_one_crop_shows_is_none_by_default():
    times = np.arange(20) / 30
    assert events_of([0] * 9 + [1.0] + [0] * 10, times=times, rule=None) == []
    assert len(events_of([0] * 6 + [1.0] * 8 + [0] * 6, times=times, rule=None)) == 1


def test_nothing_joins_across_a_blind_gap():
    times = [0.0, 0.04, 0.08, 0.48, 0.52, 0.56]
    assert events_of([0, 0.6, 0.8, 0.8, 0.6, 0], times=times) == [(0.02, 0.08, 0.08), (0.48, 0.48, 0.54)]


def test_uneven_times_count_not_indices():
    dense, sparse = [0.0, 0.04, 0.08, 0.12, 0.16], [0.0, 0.18, 0.36, 0.54, 0.72]
    scores = [0, 0.6, 0.9, 0.6, 0]
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


def test_impossible_smoothing():
    with pytest.raises(ValueError, match=r"smooth_seconds \(-0.1\) must be >= 0"):
        MicroEventRule(smooth_seconds=-0.1)


def test_impossible_durations():
    with pytest.raises(ValueError, match=r"shortest_seconds \(0.6\) must be >= 0 and < longest_seconds \(0.5\)"):
        MicroEventRule(shortest_seconds=0.6)
