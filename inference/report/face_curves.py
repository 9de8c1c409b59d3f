"""One person's face over time, as a report tells it: means of a span, moments worth a picture.

Pure functions on a `FaceTimeline`; times in seconds, probabilities in [0, 1]. Spans are half open, [start, end).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.inference.report.report import LabelScore
from microemo.processing.clip import FaceTrack
from microemo.processing.facial_events import FaceTimeline, mean_expressions


def expression_scores(
    timeline: FaceTimeline, *, labels: Sequence[str], start_seconds: float, end_seconds: float
) -> tuple[LabelScore, ...] | None:
    """Mean probability of each expression over a span, strongest first; None where no face was seen or untrained."""
    means = mean_expressions((timeline,), start_seconds, end_seconds)
    if means is None:
        return None
    scores = [LabelScore(label, _rounded(mean)) for label, mean in zip(labels, means, strict=True)]
    return tuple(sorted(scores, key=lambda score: -score.probability))


def strongest_moments(timeline: FaceTimeline, *, count: int) -> tuple[float, ...]:
    """Up to `count` times worth a picture: for each expression that leads somewhere, its strongest crop.

    Ordered by time; expressions that lead for longer come first when there are more than `count`.
    """
    if timeline.expressions is None or len(timeline.times) == 0:
        return ()
    leading = np.argmax(timeline.expressions, axis=1)
    counts = np.bincount(leading, minlength=timeline.expressions.shape[1])
    order: Sequence[int] = np.argsort(-counts, kind="stable").tolist()
    shown = [column for column in order if counts[column]][:count]
    peaks = [float(timeline.times[int(np.argmax(timeline.expressions[:, column]))]) for column in shown]
    return tuple(sorted(set(peaks)))


def boxes_at(times: np.ndarray, *, tracks: Sequence[FaceTrack]) -> tuple[tuple[int, ...], ...] | None:
    """One person's box at each of `times` (F,), between those of the tracks' times; None without tracks."""
    if not tracks:
        return None
    boxes = _between(times, tracks=tracks, values=[track.boxes for track in tracks])  # (F, 4)
    return tuple(tuple(box) for box in boxes.round().astype(int).tolist())


def detection_scores_at(times: np.ndarray, *, tracks: Sequence[FaceTrack]) -> tuple[float, ...] | None:
    """How sure the detector is of one person's face at each of `times` (F,); None without tracks."""
    if not tracks:
        return None
    scores = _between(times, tracks=tracks, values=[track.scores[:, None] for track in tracks])[:, 0]
    return tuple(scores.clip(0, 1).round(3).tolist())


def _between(times: np.ndarray, *, tracks: Sequence[FaceTrack], values: Sequence[np.ndarray]) -> np.ndarray:
    """(F, D) at `times` (F,), interpolated between the tracks' times, where `values` (N, D) of each are known."""
    known, first = np.unique(np.concatenate([track.times for track in tracks]), return_index=True)
    rows = np.concatenate(list(values))[first]
    return np.stack([np.interp(times, known, column) for column in rows.T], axis=1)


def _rounded(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)
