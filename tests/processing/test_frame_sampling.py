import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.clip import Utterance
from microemo.processing.frame_sampling import (
    indices_within,
    largest_gap_seconds,
    nearest_indices,
    sample_face_indices,
    sample_frame_indices,
    spread_indices,
    thin_indices,
)

TIMES_25 = np.arange(250) / 25  # 10 s


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [5]), (2, [2, 7]), (5, [1, 3, 5, 7, 9]), (10, list(range(10))), (99, list(range(10))), (0, [])],
)
def test_spread_selects_midpoints_of_equal_parts(count, expected):
    assert spread_indices(np.arange(10.0), count=count).tolist() == pytest.approx(expected, abs=1)
    assert len(spread_indices(np.arange(10.0), count=count)) == min(count, 10)


def test_spread_uses_time_not_index():
    times = np.concatenate([np.arange(90) * 0.01, 1.0 + np.arange(10)])  # ninety frames in 1 s, then one per second
    assert np.sum(spread_indices(times, count=10) >= 90) >= 8


def test_utterances_get_additional_frames():
    alone = sample_frame_indices(TIMES_25, utterances=(), num_frames=8, min_frames_per_utterance=4)
    both = sample_frame_indices(TIMES_25, utterances=[Utterance(1, 1.5)], num_frames=8, min_frames_per_utterance=4)
    assert len(alone) == 8
    assert set(alone) <= set(both)
    assert np.sum((TIMES_25[both] >= 1) & (TIMES_25[both] < 1.5)) >= 4
    assert np.all(np.diff(both) > 0)


def test_short_utterances_give_all_their_frames():
    indices = sample_frame_indices(
        TIMES_25, utterances=[Utterance(2.0, 2.1)], num_frames=0, min_frames_per_utterance=4
    )
    assert indices.tolist() == [50, 51, 52]


def test_one_frame_is_enough():
    one = np.array([0.0])
    utterances = [Utterance(0, 1)]
    assert sample_frame_indices(one, utterances=utterances, num_frames=8, min_frames_per_utterance=4).tolist() == [0]
    assert sample_face_indices(one, utterances=utterances, face_fps=15).tolist() == [0]
    assert (
        sample_frame_indices(one[:0], utterances=utterances, num_frames=8, min_frames_per_utterance=4).tolist() == []
    )


@pytest.mark.parametrize(("frame_rate", "rate", "kept"), [(25, 15, 15), (30, 15, 15), (60, 15, 15), (25, 30, 25)])
def test_face_rate_is_limited_by_the_videos(frame_rate, rate, kept):
    times = np.arange(frame_rate * 10) / frame_rate
    faces = sample_face_indices(times, utterances=[Utterance(0, 10)], face_fps=rate)
    assert len(faces) == pytest.approx(kept * 10, abs=2)


def test_faces_lie_inside_utterances_only():
    faces = sample_face_indices(TIMES_25, utterances=[Utterance(1, 2), Utterance(5, 6)], face_fps=100)
    assert faces.tolist() == [*range(25, 50), *range(125, 150)]


@given(
    steps=st.lists(st.floats(0.005, 0.5), min_size=1, max_size=60),
    rate=st.floats(1, 60),
)
def test_thinning_keeps_the_rate_for_any_times(steps, rate):
    times = np.cumsum(steps)
    kept = thin_indices(times, rate=rate)
    assert kept[0] == 0
    seconds = times[kept[-1]] - times[0]
    assert len(kept) <= seconds * rate + 2
    # No frame is dropped if the video is slower than the rate.
    assert np.all(np.isin(np.flatnonzero(np.diff(times) > 1.3 / rate) + 1, kept))


def test_thinning_does_not_drift():
    times = np.arange(3000) / 29.97
    assert len(thin_indices(times, rate=15)) == pytest.approx(times[-1] * 15, abs=2)


def test_largest_gap():
    utterances = [Utterance(1, 2)]
    assert largest_gap_seconds(np.array([1.0, 1.3, 1.4, 1.9]), utterances=utterances) == pytest.approx(0.5)
    assert largest_gap_seconds(np.array([1.6]), utterances=utterances) == pytest.approx(0.6)
    assert largest_gap_seconds(np.array([3.0]), utterances=utterances) == float("inf")
    assert largest_gap_seconds(np.array([3.0]), utterances=()) == 0


def test_nearest_and_within():
    times = np.array([0.0, 1.0, 2.0])
    assert nearest_indices(times, at=np.array([-1, 0.4, 0.5, 0.6, 5])).tolist() == [0, 0, 0, 1, 2]
    assert indices_within(times, start_seconds=1, end_seconds=2).tolist() == [1]


@pytest.mark.parametrize("times", [np.array([0.0, 0.0]), np.array([1.0, 0.5]), np.zeros((2, 2))])
def test_times_must_increase(times):
    with pytest.raises(ValueError, match="times must be one row of increasing seconds"):
        sample_face_indices(times, utterances=(), face_fps=15)


def test_invalid_rates_and_counts_are_refused():
    with pytest.raises(ValueError, match=r"rate must be > 0, got 0"):
        thin_indices(TIMES_25, rate=0)
    with pytest.raises(ValueError, match=r"num_frames must be >= 0, got -1"):
        sample_frame_indices(TIMES_25, utterances=(), num_frames=-1, min_frames_per_utterance=1)
