"""A face over time: smoothing the expression probabilities, summing them up per utterance, putting them into words.

Pure functions on arrays; times in seconds, probabilities in [0, 1].
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microemo.inference.report import Evidence, LabelScore
from microemo.processing.clip import FaceTrack

SMOOTHING_SECONDS = 0.2  # width of the window; longer than a blink's flicker, shorter than any expression of interest
BLIND_SECONDS = 0.5  # a face unseen for longer than this starts a new stretch
NOTABLE_CHANGE = 0.3  # a rise or fall of the probability that is worth a sentence
STEADY_PROBABILITY = 0.5  # the mean from which an expression that does not change is worth a sentence
MAX_SENTENCES = 3


@dataclass(frozen=True)
class ExpressionTrace:
    """One person's expression probabilities: times (F,), increasing, and probabilities (F, E) in order of labels."""

    track_id: int
    times: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        expected = (len(self.times), len(self.labels))
        if self.probabilities.shape != expected:
            raise ValueError(f"probabilities must have shape {expected}, got {self.probabilities.shape}")
        if np.any(np.diff(self.times) <= 0):
            raise ValueError("times must increase")

    def between(self, start_seconds: float, end_seconds: float) -> ExpressionTrace:
        """The part with start <= time <= end."""
        inside = (self.times >= start_seconds) & (self.times <= end_seconds)
        return ExpressionTrace(self.track_id, self.times[inside], self.probabilities[inside], self.labels)


def smooth(times: np.ndarray, values: np.ndarray, *, window_seconds: float = SMOOTHING_SECONDS) -> np.ndarray:
    """`values` (F, ...) averaged with triangular weights over the crops within half a window, by time, not by index.

    A window narrower than the crops' spacing changes nothing; crops on the far side of a blind gap never enter.
    """
    if len(times) != len(values):
        raise ValueError(f"times has {len(times)} entries, values has {len(values)}")
    half = window_seconds / 2
    # Only neighbours within half a window weigh, so each crop looks at a short slice: linear in F.
    firsts = np.searchsorted(times, times - half, side="left")
    lasts = np.searchsorted(times, times + half, side="right")
    smoothed = np.empty(values.shape, dtype=np.float64)
    for index, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        weights = 1 - np.abs(times[first:last] - times[index]) / half if half > 0 else np.ones(1)
        smoothed[index] = np.average(values[first:last], axis=0, weights=np.maximum(weights, 1e-9))
    return smoothed


def summarise_expressions(trace: ExpressionTrace) -> tuple[LabelScore, ...] | None:
    """Mean probability of each expression over time, strongest first; None where no face was seen.

    Crops are weighted by the time they stand for, so that a densely sampled second counts no more than a sparse one.
    """
    if len(trace.times) == 0:
        return None
    means = np.average(trace.probabilities, axis=0, weights=_time_weights(trace.times))
    scores = [LabelScore(label, _rounded(mean)) for label, mean in zip(trace.labels, means, strict=True)]
    return tuple(sorted(scores, key=lambda score: -score.probability))


def expression_evidence(trace: ExpressionTrace) -> tuple[Evidence, ...]:
    """What the face does in `trace`, in sentences with times, ordered by time; measured, not generated.

    Notable rises and falls of an expression come first ("happiness rises from 0.08 to 0.91 between 0.4 and 0.9 s");
    without any, an expression that stays says so ("neutral throughout, mean 0.93").
    """
    if len(trace.times) == 0:
        return ()
    found = []
    for column, label in enumerate(trace.labels):
        change = _largest_change(trace.times, trace.probabilities[:, column])
        if change is not None:
            found.append((abs(change.end_value - change.start_value), change.evidence(label)))
    if found:
        strongest = sorted(found, key=lambda item: -item[0])[:MAX_SENTENCES]
        return tuple(sorted((evidence for _, evidence in strongest), key=lambda evidence: evidence.seconds or 0.0))
    strongest_label = summarise_expressions(trace)[0]  # type: ignore[index]  # the trace is not empty
    if strongest_label.probability < STEADY_PROBABILITY:
        return ()
    text = f"{strongest_label.label} throughout, mean {strongest_label.probability:.2f}"
    return (Evidence("face", None, text),)


def times_between(times: Sequence[float], start_seconds: float, end_seconds: float) -> np.ndarray:
    """The increasing `times` from start to end, both inclusive.

    By bisection: an hour has as many utterances as its curves are long, and each utterance asks.
    """
    return np.array(times[bisect_left(times, start_seconds) : bisect_right(times, end_seconds)])


def presence_evidence(times: np.ndarray, *, start_seconds: float, end_seconds: float) -> tuple[Evidence, ...]:
    """When between start and end a face seen at `times` (F,) comes, is away, and goes; () for one always there."""
    seen = times[(times >= start_seconds) & (times <= end_seconds)]
    if len(seen) == 0:
        return ()
    evidence = []
    if seen[0] - start_seconds > BLIND_SECONDS:
        evidence.append(Evidence("face", round(float(seen[0]), 3), f"first seen at {seen[0]:.1f} s"))
    for place in np.flatnonzero(np.diff(seen) > BLIND_SECONDS):
        left, back = seen[place], seen[place + 1]
        evidence.append(Evidence("face", round(float(left), 3), f"not seen between {left:.1f} and {back:.1f} s"))
    if end_seconds - seen[-1] > BLIND_SECONDS:
        evidence.append(Evidence("face", round(float(seen[-1]), 3), f"last seen at {seen[-1]:.1f} s"))
    return tuple(evidence)


@dataclass(frozen=True)
class _Change:
    """A rise or fall: from a value at a time to a value at a later time."""

    start_time: float
    end_time: float
    start_value: float
    end_value: float

    def evidence(self, label: str) -> Evidence:
        rises = self.end_value > self.start_value
        text = (
            f"{label} {'rises' if rises else 'falls'} from {self.start_value:.2f} to {self.end_value:.2f} "
            f"between {self.start_time:.1f} and {self.end_time:.1f} s"
        )
        # The moment to look at is where the expression is strongest.
        return Evidence("face", round(self.end_time if rises else self.start_time, 3), text)


def _largest_change(times: np.ndarray, values: np.ndarray) -> _Change | None:
    """The largest rise or fall between an earlier and a later time; None below `NOTABLE_CHANGE`.

    It is cut to where the movement really happens: the last time within a tenth of the start value, the first within
    a tenth of the end value.
    """
    rise, fall = _best_pair(values), _best_pair(-values)
    first, last = max((rise, fall), key=lambda pair: abs(values[pair[1]] - values[pair[0]]))
    change = values[last] - values[first]
    if abs(change) < NOTABLE_CHANGE:
        return None
    done = (values[first : last + 1] - values[first]) / change  # 0 at the start, 1 at the end
    start = first + int(np.flatnonzero(done <= 0.1)[-1])
    end = start + int(np.flatnonzero(done[start - first :] >= 0.9)[0])
    return _Change(float(times[start]), float(times[end]), float(values[start]), float(values[end]))


def _best_pair(values: np.ndarray) -> tuple[int, int]:
    """Indices (i, j), i <= j, with the largest values[j] - values[i]."""
    lowest_so_far = np.minimum.accumulate(values)
    last = int(np.argmax(values - lowest_so_far))
    return int(np.argmin(values[: last + 1])), last


def _time_weights(times: np.ndarray) -> np.ndarray:
    """Seconds that each crop stands for: half the way to both neighbours, never across a blind gap."""
    if len(times) == 1:
        return np.ones(1)
    gaps = np.minimum(np.diff(times), BLIND_SECONDS)
    return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2


def strongest_moments(trace: ExpressionTrace, *, count: int) -> tuple[float, ...]:
    """Up to `count` times worth a picture: for each expression that leads somewhere, its strongest crop.

    Ordered by time; expressions that lead for longer come first when there are more than `count`.
    """
    if len(trace.times) == 0:
        return ()
    leading = np.argmax(trace.probabilities, axis=1)
    order: Sequence[int] = np.argsort(-np.bincount(leading, minlength=len(trace.labels)), kind="stable").tolist()
    shown = [column for column in order if np.any(leading == column)][:count]
    peaks = [float(trace.times[int(np.argmax(trace.probabilities[:, column]))]) for column in shown]
    return tuple(sorted(set(peaks)))


def boxes_at(times: np.ndarray, *, tracks: Sequence[FaceTrack]) -> tuple[tuple[int, ...], ...] | None:
    """One person's box at each of `times` (F,), between those of the tracks' times; None without tracks."""
    if not tracks:
        return None
    known, first = np.unique(np.concatenate([track.times for track in tracks]), return_index=True)
    boxes = np.concatenate([track.boxes for track in tracks])[first]  # (N, 4)
    columns = [np.interp(times, known, boxes[:, side]).round().astype(int).tolist() for side in range(4)]
    return tuple(zip(*columns, strict=True))


def _rounded(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)
