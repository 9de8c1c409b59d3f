"""The facial events of one person: macro- and micro-expressions, out of the face head's probabilities over time.

    probabilities of every crop --smoothed over seconds--> curves --levels and durations--> FacialEvents
                                                             (onset, apex, offset)

This is the package's one detector. It is run once for each track; report, prompt, training and evaluation read what it
found. It counts seconds, never crops, so that a face seen 10 or 30 times a second has the same events.

Every span (an utterance, say) is half open, [start, end). A micro-expression belongs to the span in which its apex
lies, a macro-expression to every span of which it fills a noticeable part.

Pure functions on numpy arrays. F crops, X expressions, A action units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .micro_spotting import MicroExpressionRule, edges, rises_of, seen_runs, window_mean

EXPRESSION_SECONDS = 0.8  # width of the kernel over the expression curves: syllables move the mouth faster
CONTRAST_SECONDS = 0.3  # before and behind its apex a micro-expression is not there
CONTRAST_FLOOR = 0.03  # a rise from nearly nothing to nearly nothing is none
BLIND_SECONDS = 0.5  # a face unseen for longer may have done anything meanwhile
NEAR_SECONDS = 0.07  # around a moment; what moves in a single crop trembles
PLATEAU = 1e-3  # the apex of an expression that is held is where it is first as strong as it gets
PART_SECONDS = 0.2  # of a macro-expression within a span; of less, its times would read the same
TOLERANCE_SECONDS = 1e-4  # float32 makes 1.8 a hair less than the utterance that begins with it


@dataclass(frozen=True)
class MacroExpressionRule:
    """When an expression counts as a macro-expression.

        probability
             |       ____        __
        enter|....../....\\....../..\\...    it must be likelier than not ...
        leave|...../......\\____/....\\..    ... and lasts down to `leave`, over pauses of at most `pause_seconds`
             |____/                  \\__
                 onset                offset

    What is over sooner than `shortest_seconds` is left to the micro-expressions.
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
    """What the face head says of one person's crops: probabilities, None where they are untrained.

    times: (F,) seconds, increasing. expressions: (F, X). micro: (F,), inside a micro-expression. motion: (F, X) of
    the expressions that move, for which a face at rest is neutral however it looks. action_units: (F, A).
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

    probability: of a macro-expression its mean from onset to offset, of a micro-expression that at its apex.
    shares: (X,), how sure each expression is of being the one shown, with the sum 1; (0,) where untrained.
    action_units: (A,) at the apex, None where untrained.
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
        """Number of the expression that is shown."""
        return int(np.argmax(self.shares))

    def shifted(self, seconds: float) -> "FacialEvent":
        """The same event so many seconds later."""
        times = ("onset_seconds", "apex_seconds", "offset_seconds")
        return replace(self, **{name: getattr(self, name) + seconds for name in times})

    def overlap(self, start_seconds: float, end_seconds: float) -> float:
        """Seconds of it that lie in a span."""
        return max(0.0, min(self.offset_seconds, end_seconds) - max(self.onset_seconds, start_seconds))


@dataclass(frozen=True)
class FaceTimeline:
    """One person's curves and events. expressions: (F, X) smoothed; macro_expressions and micro_expressions in the
    order of time; each None where its output is untrained."""

    track_id: int
    times: np.ndarray
    expressions: np.ndarray | None
    macro_expressions: tuple[FacialEvent, ...] | None
    micro_expressions: tuple[FacialEvent, ...] | None

    def shifted(self, seconds: float) -> "FaceTimeline":
        """The same timeline so many seconds later."""
        macro, micro = (
            None if events is None else tuple(event.shifted(seconds) for event in events)
            for events in (self.macro_expressions, self.micro_expressions)
        )
        return replace(self, times=self.times + seconds, macro_expressions=macro, micro_expressions=micro)

    def macro_in(self, start_seconds: float, end_seconds: float) -> tuple[FacialEvent, ...]:
        """The macro-expressions of which `PART_SECONDS` lie in a span, or that fill half of a short one."""
        least = min(PART_SECONDS, (end_seconds - start_seconds) / 2) - TOLERANCE_SECONDS
        events = self.macro_expressions or ()
        return tuple(event for event in events if event.overlap(start_seconds, end_seconds) >= max(least, 1e-9))

    def micro_in(self, start_seconds: float, end_seconds: float) -> tuple[FacialEvent, ...]:
        """The micro-expressions with their apex in a span."""
        events = self.micro_expressions or ()
        rows = rows_between(np.array([event.apex_seconds for event in events]), start_seconds, end_seconds)
        return events[rows]


def rows_between(times: np.ndarray, start_seconds: float, end_seconds: float) -> slice:
    """Which of the increasing `times` lie in [start, end); by bisection, as each of an hour's many utterances asks."""
    bounds = np.array([start_seconds, end_seconds]) - TOLERANCE_SECONDS
    first, last = np.searchsorted(times, bounds, side="left").tolist()
    return slice(first, last)


def attended(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> FaceTimeline | None:
    """The person most often seen in a span, None where nobody is."""
    counts = [len(line.times[rows_between(line.times, start_seconds, end_seconds)]) for line in timelines]
    return timelines[int(np.argmax(counts))] if any(counts) else None


def dominant(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> FacialEvent | None:
    """The macro-expression that fills most of a span, whoever shows it."""
    inside = [event for line in timelines for event in line.macro_in(start_seconds, end_seconds)]
    return max(inside, key=lambda event: event.overlap(start_seconds, end_seconds), default=None)


def mean_expressions(timelines: Sequence[FaceTimeline], start_seconds: float, end_seconds: float) -> np.ndarray | None:
    """(X,) mean of the curves over a span; None where nobody is seen in it or expressions are untrained.

    Crops are weighted by the time they stand for, so that a densely sampled second counts no more than a sparse one.
    """
    values, weights = [], []
    for line in timelines:
        rows = rows_between(line.times, start_seconds, end_seconds)
        if line.expressions is not None and rows.start < rows.stop:
            values.append(line.expressions[rows])
            weights.append(time_weights(line.times[rows]))
    return np.average(np.concatenate(values), axis=0, weights=np.concatenate(weights)) if values else None


def detect_events(
    scores: FaceScores,
    *,
    neutral: int | None = 0,
    macro_rule: MacroExpressionRule | None = None,
    micro_rule: MicroExpressionRule | None = None,
) -> FaceTimeline:
    """The timeline of one person.

    Args:
        scores: of all crops of one track.
        neutral: number of the expression that is none; None where every one is.
    """
    expressions = macro = micro = None
    if scores.expressions is not None:
        expressions = smooth(scores.times, scores.expressions, seconds=EXPRESSION_SECONDS).clip(0, 1)
        macro = _macro_expressions(scores, expressions, neutral=neutral, rule=macro_rule or MacroExpressionRule())
    if scores.micro is not None:
        micro = _micro_expressions(scores, neutral=neutral, rule=micro_rule or MicroExpressionRule())
    return FaceTimeline(scores.track_id, scores.times, expressions, macro, micro)


def smooth(times: np.ndarray, values: np.ndarray, *, seconds: float) -> np.ndarray:
    """`values` (F, ...) averaged with triangular weights over the crops within half of `seconds`, by time.

    A kernel narrower than the crops' spacing changes nothing; a crop beyond a gap never enters.
    """
    if len(times) != len(values):
        raise ValueError(f"times has {len(times)} entries, values has {len(values)}")
    half = seconds / 2
    # Only neighbours within half a kernel weigh, so each crop looks at a short slice: linear in F.
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
    found = [
        _macro_expression(scores, curves, column=column, run=run, first=first, last=last, neutral=neutral, rule=rule)
        for run in seen_runs(scores.times, rule.blind_seconds)
        for column in range(curves.shape[1])
        if column != neutral
        for first, last in lasting_runs(scores.times, curves[:, column], run=run, rule=rule)
    ]
    lengths = [round(event.offset_seconds - event.onset_seconds, 6) for event in found]
    lasting = [event for event, seconds in zip(found, lengths, strict=True) if seconds >= rule.shortest_seconds]
    return tuple(sorted(lasting, key=lambda event: (event.onset_seconds, event.expression)))


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
    apex = first + int(np.argmax(curves[inside, column] >= strongest - PLATEAU))
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


def lasting_runs(
    times: np.ndarray, curve: np.ndarray, *, run: tuple[int, int], rule: MacroExpressionRule
) -> list[tuple[int, int]]:
    """First and last crop of each stretch of a run above `leave`, joined over short pauses, that reaches `enter`."""
    above = np.flatnonzero(curve[run[0] : run[1] + 1] >= rule.leave) + run[0]
    if len(above) == 0:
        return []
    is_pause = (np.diff(above) > 1) & (np.diff(times[above]) > rule.pause_seconds)
    stretches = np.split(above, np.flatnonzero(is_pause) + 1)
    return [(int(one[0]), int(one[-1])) for one in stretches if curve[one].max() >= rule.enter]


def _micro_expressions(
    scores: FaceScores, *, neutral: int | None, rule: MicroExpressionRule
) -> tuple[FacialEvent, ...]:
    assert scores.micro is not None
    smoothed, events = window_mean(scores.times, scores.micro, seconds=rule.smooth_seconds), []
    for rise in rises_of(scores.times, smoothed, rule=rule):
        apex = rise.first + int(np.argmax(smoothed[rise.first : rise.last + 1]))
        moment = float(scores.times[apex])
        events.append(
            FacialEvent(
                kind="micro",
                track_id=scores.track_id,
                onset_seconds=rise.onset,
                apex_seconds=min(max(moment, rise.onset), rise.offset),
                offset_seconds=rise.offset,
                probability=float(smoothed[apex]),
                shares=_apex_contrast(scores, moment, neutral=neutral),
                action_units=None if scores.action_units is None else scores.action_units[apex],
            )
        )
    return tuple(events)


def _apex_contrast(scores: FaceScores, apex_seconds: float, *, neutral: int | None) -> np.ndarray:
    """(X,) how sure each expression is of coming and going with a micro-expression; () without expressions.

    An expression that lasts was there before and stays, however strong it is. Of two that rise, the event shows the
    one that rises more, hence the squares.
    """
    moving = scores.expressions if scores.motion is None else scores.motion
    if moving is None:
        return np.zeros(0)

    def height(seconds: float) -> np.ndarray:
        near = np.abs(scores.times - seconds) <= NEAR_SECONDS
        near[np.argmin(np.abs(scores.times - seconds))] = True
        return moving[near].mean(0) + CONTRAST_FLOOR

    before, behind = (height(apex_seconds + way * CONTRAST_SECONDS) for way in (-1, 1))
    return _shares((height(apex_seconds) / ((before + behind) / 2)) ** 2, neutral=neutral)


def _shares(masses: np.ndarray, *, neutral: int | None) -> np.ndarray:
    masses = masses.astype(np.float64).copy()
    if neutral is not None:
        masses[neutral] = 0.0
    return masses / max(masses.sum(), 1e-9)


def time_weights(times: np.ndarray) -> np.ndarray:
    """How long each crop counts: half the way to both neighbours, no farther than `BLIND_SECONDS`."""
    if len(times) == 1:
        return np.ones(1)
    gaps = np.minimum(np.diff(times), BLIND_SECONDS)
    return (np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2
