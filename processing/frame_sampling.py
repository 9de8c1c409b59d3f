"""Which frames to look at: index arithmetic on times, no pictures.

`times` is always (N,) seconds, increasing; an index is a place in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clip import Utterance

EARLY_TOLERANCE = 0.25  # of a spacing: a frame that comes this early still counts as due, so that jitter drops none


def sample_frame_indices(
    times: np.ndarray, *, utterances: Sequence[Utterance], num_frames: int, min_frames_per_utterance: int
) -> np.ndarray:
    """Indices (increasing) of `num_frames` frames spread over the clip, and of enough frames inside each utterance.

    The clip is cut into `num_frames` equal parts of time and the frame nearest to each middle is taken; an utterance
    that got fewer than `min_frames_per_utterance` is cut up in the same way by itself (all its frames, when it has no
    more)::

        times       |.....................................|   num_frames=4, min_frames_per_utterance=2
        spread           x        x        x        x
        utterance                    [-----------]            has one
        result           x        x   x    x  x     x

    More than `num_frames` may come back: what is asked of every utterance is never taken from the whole.
    """
    times = _checked_times(times)
    for name, value in (("num_frames", num_frames), ("min_frames_per_utterance", min_frames_per_utterance)):
        if value < 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
    chosen = set(spread_indices(times, count=num_frames).tolist())
    for utterance in utterances:
        inside = indices_within(times, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)
        if len(chosen.intersection(inside.tolist())) < min_frames_per_utterance:
            chosen.update(inside[spread_indices(times[inside], count=min_frames_per_utterance)].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def sample_face_indices(times: np.ndarray, *, utterances: Sequence[Utterance], face_fps: float) -> np.ndarray:
    """Indices (increasing) of the frames inside the utterances, thinned to at most about `face_fps` a second."""
    times = _checked_times(times)
    chosen: set[int] = set()
    for utterance in utterances:
        inside = indices_within(times, start_seconds=utterance.start_seconds, end_seconds=utterance.end_seconds)
        chosen.update(inside[thin_indices(times[inside], rate=face_fps)].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def spread_indices(times: np.ndarray, *, count: int) -> np.ndarray:
    """At most `count` different indices, nearest to the middles of `count` equal parts of the time covered.

    All indices where there are no more than `count`.
    """
    if len(times) <= count:
        return np.arange(len(times))
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    part = (times[-1] - times[0]) / count
    middles = times[0] + part * (np.arange(count) + 0.5)
    return np.unique(nearest_indices(times, at=middles))


def thin_indices(times: np.ndarray, *, rate: float) -> np.ndarray:
    """Indices of frames so chosen that they follow each other at about `1 / rate` seconds, never much closer::

    times   0.00 0.04 0.08 0.12 0.16 0.20 ... (25 fps)     rate 15 -> due every 0.067 s
    kept    x         x    x         x    x    ...         a frame is kept when it is the first one due
    """
    if not rate > 0:
        raise ValueError(f"rate must be > 0, got {rate}")
    if len(times) == 0:
        return np.zeros(0, dtype=np.int64)
    # Slots of 1 / rate since the first frame: the first frame of each slot is kept, so that errors do not add up.
    slots = np.floor((times - times[0]) * rate + EARLY_TOLERANCE)
    return np.flatnonzero(np.diff(slots, prepend=-1) > 0)


def nearest_indices(times: np.ndarray, *, at: np.ndarray) -> np.ndarray:
    """For each time in `at` the index of the nearest frame; the earlier one when both are as near."""
    after = np.clip(np.searchsorted(times, at), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.zeros(len(at), dtype=np.int64)
    return after - (at - times[after - 1] <= times[after] - at)


def indices_within(times: np.ndarray, *, start_seconds: float, end_seconds: float) -> np.ndarray:
    """Indices of the frames shown from start (inclusive) to end (exclusive)."""
    return np.arange(np.searchsorted(times, start_seconds), np.searchsorted(times, end_seconds))


def largest_gap_seconds(times: np.ndarray, *, utterances: Sequence[Utterance]) -> float:
    """The longest stretch inside any utterance without one of the sampled `times`; its edges count as seen.

    Infinite when an utterance holds none of them; 0 without utterances.
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
