"""Facial events of one person: macro- and micro-expressions from the face head's probabilities over time.

    probabilities of every crop --smoothing--> curves --thresholds and durations--> FacialEvents (onset, apex, offset)

This is the only event detector of the package. It runs once per face track; report, prompt, training and evaluation
all use its result. Durations are measured in seconds, not crops, so the events do not depend on the frame rate.

Every span (an utterance, say) is half open, [start, end). A micro-expression belongs to the span that contains its
apex, a macro-expression to every span with which it overlaps by at required `MIN_OVERLAP_SECONDS`.

Pure functions on numpy arrays. F crops, X expressions, A action units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .micro_spotting import MicroExpressionRule, contiguous_runs, edges, find_peaks, moving_average

EXPRESSION_SECONDS = 0.8  # kernel width of the expression curves; mouth movements of speech are faster
CONTRAST_SECONDS = 0.3  # distance from the apex at which a micro-expression is absent
CONTRAST_FLOOR = 0.03  # added to both sides of the contrast, so that noise near zero does not count
BLIND_SECONDS = 0.5  # longest gap without a face that is bridged
NEAR_SECONDS = 0.07  # averaging radius around a moment; the motion of a single crop is noisy
PLATEAU_TOLERANCE = 1e-3  # the apex of a held expression is its first crop within this of the maximum
MIN_OVERLAP_SECONDS = 0.2  # of a macro-expression within a span; with less, its times would read the same
TOLERANCE_SECONDS = 1e-4  # float32 times may be slightly earlier than the utterance they start with


@dataclass(frozen=True)
class MacroExpressionRule:
    """When an expression counts as a macro-expression.

        probability
             |       ____        __
        enter|....../....\\....../..\\...    it must reach `enter` ...
        leave|...../......\\____/....\\..    ... and extends while above `leave`, over pauses up to `pause_seconds`
             |____/                  \\__
                 onset                offset

    Shorter ones than `shortest_seconds` are left to the micro-expression detector.
    """

    enter: float = 0.5
    leave: float = 0.3
    pause_seconds: float = 0.4
    shortest_seconds: float = 0.5
    blind_seconds: float = BLIND_SECONDS

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter < 1:
            raise ValueError(f"levels must satisfy 0 < leave <= enter < 1, got {self.leave} and {self.enter}")
        for name in ("pause_seconds", "shortest_seconds", "blind_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class FaceScores:
    """Outputs of the face head for one person's crops: probabilities, None for untrained outputs.

    times: (F,) seconds, increasing.
    expressions: (F, X).
    micro: (F,), of being inside a micro-expression.
    motion: (F, X), expressions judged by movement alone: a face at rest is neutral whatever its appearance.
    action_units: (F, A).
    """

    track_id: int
    times: np.ndarray
    expressions: np.ndarray | None = None
    micro: np.ndarray | None = None
    motion: np.ndarray | None = None
    action_units: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.times)
        if np.any(np.diff(self.times) <= 0):
            raise ValueError(f"times of track {self.track_id} must increase")
        for name in ("expressions", "micro", "motion", "action_units"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != count:
                raise ValueError(f"{name} has {len(values)} entries for {count} times")
            if not np.all((values >= 0) & (values <= 1)):
                raise ValueError(f"{name} must be probabilities in [0, 1]")


@dataclass(frozen=True)
class FacialEvent:
    """One macro- or micro-expression. Times in seconds.

    probability: for a macro-expression the mean from onset to offset, for a micro-expression the value at the apex.
    shares: (X,), distribution over expressions, sums to 1; (0,) if untrained.
    action_units: (A,) at the apex, None if untrained.
    """

    kind: Literal["macro", "micro"]
    track_id: int
    onset_seconds: float
    apex_seconds: float
    offset_seconds: float
    probability: float
    shares: np.ndarray
    action_units: np.ndarray | None = None

    @property
    def expression(self) -> int:
        """Index of the most likely expression."""
        return int(np.argmax(self.shares))

    def shifted(self, seconds: float) -> "FacialEvent":
        """The same event, `seconds` later."""
        times = ("onset_seconds", "apex_seconds", "offset_seconds")
        return replace(self, **{name: getattr(self, name) + seconds for name in times})

    def overlap(self, start_seconds: float, end_seconds: float) -> float:
        """Seconds of overlap with a span."""
        return max(0.0, min(self.offset_seconds, end_seconds) - max(self.onset_seconds, start_seconds))


@dataclass(frozen=True)
class FaceTimeline:
    """Curves and events of one person; each is None if its output is untrained.

    expressions: (F, X), smoothed. macro_expressions, micro_expressions: in order of time.
    """

    track_id: int
    times: np.ndarray
    expressions: np.ndarray | None
    macro_expressions: tuple[FacialEvent, ...] | None
    micro_expressions: tuple[FacialEvent, ...] | None

    def shifted(self, seconds: float) -> "FaceTimeline":
        """The same timeline, `seconds` later."""
        macro, micro = (
            None if events is None else tuple(event.shifted(seconds) for event in events)
            for events in (self.macro_expressions, self.micro_expressions)
        )
        return replace(self, times=self.times + seconds, macro_expressions=macro, micro_expressions=micro)

    def macro_in(self, start_seconds: float, end_seconds: float) -> tuple[FacialEvent, ...]:
        """Macro-expressions that overlap a span by `MIN_OVERLAP_SECONDS`, or by half of a short span."""
        required = min(MIN_OVERLAP_SECONDS, (end_seconds - start_seconds) / 2) - TOLERANCE_SECONDS
        events = self.macro_expressions or ()
        return tuple(event for event in events if event.overlap(start_seconds, end_seconds) >= max(required, 1e-9))

    def micro_in(self, start_seconds: float, end_seconds: float) -> tuple[FacialEvent, ...]:
        """Micro-expressions whose apex lies in a span."""
        events = self.micro_expressions or ()
        rows = rows_between(np.array([event.apex_seconds for event in events]), start_seconds, end_seconds)
        return events[rows]


def rows_between(times: np.ndarray, start_seconds: float, end_seconds: float) -> slice:
    """Slice of the increasing `times` that lie in [start, end), found by bisection."""
    bounds = np.array([start_seconds, end_seconds]) - TOLERANCE_SECONDS
    first, last = np.searchsorted(times, bounds, side="left").tolist()
    return slice(first, last)


def attended(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> FaceTimeline | None:
    """The person with the most crops in a span; None if nobody is visible in it."""
    counts = [len(timeline.times[rows_between(timeline.times, start_seconds, end_seconds)]) for timeline in timelines]
    return timelines[int(np.argmax(counts))] if any(counts) else None


def dominant(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> FacialEvent | None:
    """The macro-expression with the largest overlap with a span, of any person."""
    inside = [event for timeline in timelines for event in timeline.macro_in(start_seconds, end_seconds)]
    return max(inside, key=lambda event: event.overlap(start_seconds, end_seconds), default=None)


def mean_expressions(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> np.ndarray | None:
    """(X,) mean of the curves over a span; None if no face is visible in it or expressions are untrained.

    Crops are weighted by the time they represent, so the result does not depend on the sampling density.
    """
    values, weights = [], []
    for timeline in timelines:
        rows = rows_between(timeline.times, start_seconds, end_seconds)
        if timeline.expressions is not None and rows.start < rows.stop:
            values.append(timeline.expressions[rows])
            weights.append(time_weights(timeline.times[rows]))
    return np.average(np.concatenate(values), axis=0, weights=np.concatenate(weights)) if values else None


def detect_events(
    scores: FaceScores,
    *,
    neutral: int | None = 0,
    macro_rule: MacroExpressionRule | None = None,
    micro_rule: MicroExpressionRule | None = None,
) -> FaceTimeline:
    """Detects the events of one person.

    Args:
        scores: of all crops of one track.
        neutral: index of the neutral expression; None if there is none.
    """
    expressions = macro = micro = None
    if scores.expressions is not None:
        expressions = smooth(scores.times, scores.expressions, seconds=EXPRESSION_SECONDS).clip(0, 1)
        macro = _macro_expressions(scores, expressions, neutral=neutral, rule=macro_rule or MacroExpressionRule())
    if scores.micro is not None:
        micro = _micro_expressions(scores, neutral=neutral, rule=micro_rule or MicroExpressionRule())
    return FaceTimeline(scores.track_id, scores.times, expressions, macro, micro)


def smooth(times: np.ndarray, values: np.ndarray, *, seconds: float) -> np.ndarray:
    """Averages `values` (F, ...) over time with a triangular kernel of width `seconds`.

    A kernel narrower than the crops' spacing changes nothing; crops outside the kernel have no weight.
    """
    if len(times) != len(values):
        raise ValueError(f"times has {len(times)} entries, values has {len(values)}")
    half = seconds / 2
    # Only crops within half a kernel have weight, so the cost is linear in F.
    firsts = np.searchsorted(times, times - half, side="left")
    lasts = np.searchsorted(times, times + half, side="right")
    smoothed = np.empty(values.shape, dtype=np.float64)
    for index, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        weights = 1 - np.abs(times[first:last] - times[index]) / half if half > 0 else np.ones(1)
        smoothed[index] = np.average(values[first:last], axis=0, weights=np.maximum(weights, 1e-9))
    return smoothed


def _macro_expressions(
    scores: FaceScores, curves: np.ndarray, *, neutral: int | None, rule: MacroExpressionRule
) -> tuple[FacialEvent, ...]:
    events = [
        _macro_expression(scores, curves, column=column, run=run, first=first, last=last, neutral=neutral, rule=rule)
        for run in contiguous_runs(scores.times, rule.blind_seconds)
        for column in range(curves.shape[1])
        if column != neutral
        for first, last in expression_segments(scores.times, curves[:, column], run=run, rule=rule)
    ]
    durations = [round(event.offset_seconds - event.onset_seconds, 6) for event in events]
    long_enough = [event for event, seconds in zip(events, durations, strict=True) if seconds >= rule.shortest_seconds]
    return tuple(sorted(long_enough, key=lambda event: (event.onset_seconds, event.expression)))


def _macro_expression(
    scores: FaceScores,
    curves: np.ndarray,
    *,
    column: int,
    run: tuple[int, int],
    first: int,
    last: int,
    neutral: int | None,
    rule: MacroExpressionRule,
) -> FacialEvent:
    times, inside = scores.times, slice(first, last + 1)
    onset, offset = edges(times, curves[:, column], first=first, last=last, run=run, level=rule.leave)
    strongest = curves[inside, column].max()
    apex = first + int(np.argmax(curves[inside, column] >= strongest - PLATEAU_TOLERANCE))
    return FacialEvent(
        kind="macro",
        track_id=scores.track_id,
        onset_seconds=onset,
        apex_seconds=float(times[apex]),
        offset_seconds=offset,
        probability=float(np.average(curves[inside, column], weights=time_weights(times[inside]))),
        shares=_shares(np.eye(curves.shape[1])[column], neutral=neutral),
        action_units=None if scores.action_units is None else scores.action_units[apex],
    )


def expression_segments(
    times: np.ndarray, curve: np.ndarray, *, run: tuple[int, int], rule: MacroExpressionRule
) -> list[tuple[int, int]]:
    """First and last crop of each segment above `leave` that reaches `enter`, joined over short pauses."""
    above = np.flatnonzero(curve[run[0] : run[1] + 1] >= rule.leave) + run[0]
    if len(above) == 0:
        return []
    is_pause = (np.diff(above) > 1) & (np.diff(times[above]) > rule.pause_seconds)
    segments = np.split(above, np.flatnonzero(is_pause) + 1)
    return [(int(rows[0]), int(rows[-1])) for rows in segments if curve[rows].max() >= rule.enter]


def _micro_expressions(
    scores: FaceScores, *, neutral: int | None, rule: MicroExpressionRule
) -> tuple[FacialEvent, ...]:
    assert scores.micro is not None
    smoothed, events = moving_average(scores.times, scores.micro, seconds=rule.smooth_seconds), []
    for peak in find_peaks(scores.times, smoothed, rule=rule):
        apex = peak.first + int(np.argmax(smoothed[peak.first : peak.last + 1]))
        moment = float(scores.times[apex])
        events.append(
            FacialEvent(
                kind="micro",
                track_id=scores.track_id,
                onset_seconds=peak.onset,
                apex_seconds=min(max(moment, peak.onset), peak.offset),
                offset_seconds=peak.offset,
                probability=float(smoothed[apex]),
                shares=_apex_contrast(scores, moment, neutral=neutral),
                action_units=None if scores.action_units is None else scores.action_units[apex],
            )
        )
    return tuple(events)


def _apex_contrast(scores: FaceScores, apex_seconds: float, *, neutral: int | None) -> np.ndarray:
    """(X,) distribution over the expressions that appear and disappear with a micro-expression; () without
    expressions.

    An expression held before and after has no contrast, however strong it is. The contrasts are squared, so that the
    expression that changes most dominates.
    """
    motion = scores.expressions if scores.motion is None else scores.motion
    if motion is None:
        return np.zeros(0)

    def level(seconds: float) -> np.ndarray:
        near = np.abs(scores.times - seconds) <= NEAR_SECONDS
        near[np.argmin(np.abs(scores.times - seconds))] = True
        return motion[near].mean(0) + CONTRAST_FLOOR

    before, after = (level(apex_seconds + way * CONTRAST_SECONDS) for way in (-1, 1))
    return _shares((level(apex_seconds) / ((before + after) / 2)) ** 2, neutral=neutral)


def _shares(masses: np.ndarray, *, neutral: int | None) -> np.ndarray:
    masses = masses.astype(np.float64).copy()
    if neutral is not None:
        masses[neutral] = 0.0
    return masses / max(masses.sum(), 1e-9)


def time_weights(times: np.ndarray) -> np.ndarray:
    """Seconds that each crop represents: half the gap to both neighbours, gaps limited to `BLIND_SECONDS`."""
    if len(times) == 1:
        return np.ones(1)
    gaps = np.minimum(np.diff(times), BLIND_SECONDS)
    return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2
