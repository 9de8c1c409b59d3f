"""Frame sampling: index arithmetic on frame times.

`times` is always (N,) seconds, increasing; indices refer to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clip import Utterance

EARLY_TOLERANCE = 0.25  # in frame intervals: a frame this early is still due, so that jitter drops none


def sample_frame_indices(
    times: np.ndarray, *, utterances: Sequence[Utterance], num_frames: int, min_frames_per_utterance: int
) -> np.ndarray:
    """Indices (increasing) of `num_frames` frames spread over the clip, and of enough frames inside each utterance.

    The clip is divided into `num_frames` equal parts, and the frame nearest to the middle of each is selected. An
    utterance
    with fewer than `min_frames_per_utterance` of them is sampled in the same way by itself (all its frames, if there
    are
    fewer)::

        times       |.....................................|   num_frames=4, min_frames_per_utterance=2
        spread           x        x        x        x
        utterance                    [-----------]            has one
        result           x        x   x    x  x     x

    The result may exceed `num_frames`: frames for utterances are additional.
    """
    times = _checked_times(times)
    for name, value in (("num_frames", num_frames), ("min_frames_per_utterance", min_frames_per_utterance)):
        if value < 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
    selected = set(spread_indices(times, count=num_frames).tolist())
    for utterance in utterances:
        inside = indices_within(times, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)
        if len(selected.intersection(inside.tolist())) < min_frames_per_utterance:
            selected.update(inside[spread_indices(times[inside], count=min_frames_per_utterance)].tolist())
    return np.array(sorted(selected), dtype=np.int64)


def sample_face_indices(times: np.ndarray, *, utterances: Sequence[Utterance], face_fps: float) -> np.ndarray:
    """Indices (increasing) of the frames inside the utterances, thinned to about `face_fps` per second."""
    times = _checked_times(times)
    selected: set[int] = set()
    for utterance in utterances:
        inside = indices_within(times, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)
        selected.update(inside[thin_indices(times[inside], rate=face_fps)].tolist())
    return np.array(sorted(selected), dtype=np.int64)


def spread_indices(times: np.ndarray, *, count: int) -> np.ndarray:
    """At most `count` indices, nearest to the midpoints of `count` equal parts of the covered time.

    All indices if there are no more than `count`.
    """
    if len(times) <= count:
        return np.arange(len(times))
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    width = (times[-1] - times[0]) / count
    midpoints = times[0] + width * (np.arange(count) + 0.5)
    return np.unique(nearest_indices(times, at=midpoints))


def thin_indices(times: np.ndarray, *, rate: float) -> np.ndarray:
    """Thins frames to about `rate` per second, with nearly even spacing::

    times   0.00 0.04 0.08 0.12 0.16 0.20 ... (25 fps)     rate 15 -> one due every 0.067 s
    kept    x         x    x         x    x    ...         the first frame that is due is kept
    """
    if not rate > 0:
        raise ValueError(f"rate must be > 0, got {rate}")
    if len(times) == 0:
        return np.zeros(0, dtype=np.int64)
    # Slots of 1 / rate from the first frame: the first frame of each slot is kept, so errors do not accumulate.
    slots = np.floor((times - times[0]) * rate + EARLY_TOLERANCE)
    return np.flatnonzero(np.diff(slots, prepend=-1) > 0)


def nearest_indices(times: np.ndarray, *, at: np.ndarray) -> np.ndarray:
    """Index of the frame nearest to each time in `at`; the earlier one of two equally near."""
    after = np.clip(np.searchsorted(times, at), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(at), dtype=np.int64)
    return after - (at - times[after - 1] <= times[after] - at)


def indices_within(times: np.ndarray, *, start_seconds: float, end_seconds: float) -> np.ndarray:
    """Indices of the frames from start (inclusive) to end (exclusive)."""
    return np.arange(np.searchsorted(times, start_seconds), np.searchsorted(times, end_seconds))


def largest_gap_seconds(times: np.ndarray, *, utterances: Sequence[Utterance]) -> float:
    """The longest gap between sampled `times` inside any utterance, including its edges.

    Infinite if an utterance contains none of them; 0 without utterances.
    """
    times = _checked_times(times)
    gaps = [0.0]
    for utterance in utterances:
        inside = indices_within(times, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)
        if len(inside) == 0:
            return float("inf")
        gaps.append(float(np.max(np.diff(times[inside]), initial=0.0)))
        gaps += [times[inside[0]] - utterance.start_seconds, utterance.end_seconds - times[inside[-1]]]
    return float(max(gaps))


def _checked_times(times: np.ndarray) -> np.ndarray:
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or np.any(np.diff(times) <= 0):
        raise ValueError(f"times must be one row of increasing seconds, got shape {times.shape}")
    return times
