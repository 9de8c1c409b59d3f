"""Micro-expressions as events: from a score for every face crop to onset, apex and offset. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microemo.inference.event_edges import Rise, crossing, half_height, log_odds
from microemo.inference.report import LabelScore, MicroExpression

SHORTEST_SECONDS = 0.04  # one frame at 25 fps, the shortest movement the literature names
LONGEST_SECONDS = 0.5  # what lasts longer is an ordinary (macro) expression
REPORTED_ACTION_UNIT_PROBABILITY = 0.5


@dataclass(frozen=True)
class MicroEventRule:
    """When a rise of the micro-expression probability counts as an event.

        probability
        peak |           /\\
        enter|..........|..|........   the event must reach `enter` somewhere ...
        leave|......../....\\......    ... and is one as long as it stays above `leave`
        rest |______/        \\____
                   on  apex  off       half way from `rest` to its peak, in log-odds (`event_edges`)

    The probability is first averaged over `smooth_seconds` around each crop: a movement that one crop alone shows is
    mostly none. Two levels (hysteresis) keep a score that trembles around one threshold from becoming many events.
    Events less than `merge_seconds` apart are one movement. Only then does duration decide: outside
    [shortest, longest] the movement is no micro-expression and is dropped. Crops more than `blind_seconds` apart
    belong to no common event, since nobody saw what happened between.
    """

    # Chosen on 160 clips that microemo-mini had not seen, of the people whom it was trained on: within 0.01 of the
    # neighbouring values' F1, and 0.07 better than edges at `leave`.
    enter: float = 0.4
    leave: float = 0.3
    rest: float = 0.05
    smooth_seconds: float = 0.1
    shortest_seconds: float = SHORTEST_SECONDS
    longest_seconds: float = LONGEST_SECONDS
    merge_seconds: float = 0.08
    blind_seconds: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.leave <= self.enter < 1:
            raise ValueError(f"levels must satisfy 0 < leave <= enter < 1, got {self.leave} and {self.enter}")
        if not 0 < self.rest <= self.leave:
            raise ValueError(f"rest ({self.rest}) must be > 0 and <= leave ({self.leave})")
        if self.smooth_seconds < 0:
            raise ValueError(f"smooth_seconds ({self.smooth_seconds}) must be >= 0")
        if not 0 <= self.shortest_seconds < self.longest_seconds:
            raise ValueError(
                f"shortest_seconds ({self.shortest_seconds}) must be >= 0 and "
                f"< longest_seconds ({self.longest_seconds})"
            )


def find_micro_expressions(
    times: np.ndarray,
    *,
    scores: np.ndarray,
    track_id: int,
    action_units: np.ndarray | None = None,
    action_unit_labels: Sequence[str] = (),
    rule: MicroEventRule | None = None,
) -> tuple[MicroExpression, ...]:
    """The micro-expressions of one person's face, in order of time.

    Args:
        times: (F,) seconds, increasing.
        scores: (F,) micro-expression probability of each crop.
        action_units: (F, A) action-unit probabilities; those >= 0.5 at the apex are named in the event.
        action_unit_labels: the A names.
    """
    rule = rule or MicroEventRule()
    _check(times, scores, action_units, action_unit_labels)
    scores = _smoothed(times, scores, seconds=rule.smooth_seconds)
    rises = [
        rise for run in _seen_runs(times, rule.blind_seconds) for rise in _movements(times, scores, run=run, rule=rule)
    ]
    events = []
    for rise in rises:
        seconds = round(rise.offset - rise.onset, 6)  # 0.06 - 0.02 is a hair less than 0.04
        if not rule.shortest_seconds <= seconds <= rule.longest_seconds:
            continue
        apex = rise.first + int(np.argmax(scores[rise.first : rise.last + 1]))
        units = () if action_units is None else _active_units(action_units[apex], action_unit_labels)
        events.append(
            MicroExpression(
                track_id=track_id,
                onset_seconds=round(rise.onset, 3),
                apex_seconds=round(float(times[apex]), 3),
                offset_seconds=round(rise.offset, 3),
                score=round(float(scores[apex]), 4),
                action_units=units,
            )
        )
    return tuple(events)


def _check(times: np.ndarray, scores: np.ndarray, units: np.ndarray | None, labels: Sequence[str]) -> None:
    if len(times) != len(scores):
        raise ValueError(f"times has {len(times)} entries, scores has {len(scores)}")
    if np.any(np.diff(times) <= 0):
        raise ValueError("times must increase")
    if not np.all((scores >= 0) & (scores <= 1)):
        raise ValueError("scores must be probabilities in [0, 1]")
    if units is not None and units.shape != (len(times), len(labels)):
        raise ValueError(f"action_units must have shape {(len(times), len(labels))}, got {units.shape}")


def _smoothed(times: np.ndarray, scores: np.ndarray, *, seconds: float) -> np.ndarray:
    """Each score's mean with those at most half of `seconds` away."""
    reach = seconds / 2 + 1e-6  # crops exactly so far away are not to be lost by rounding
    first = np.searchsorted(times, times - reach, side="left")
    last = np.searchsorted(times, times + reach, side="right")
    sums = np.concatenate(([0.0], np.cumsum(scores, dtype=np.float64)))
    return np.clip((sums[last] - sums[first]) / (last - first), 0.0, 1.0) if len(times) else scores


def _seen_runs(times: np.ndarray, blind_seconds: float) -> list[tuple[int, int]]:
    """Index ranges [first, last] of crops that follow one another without a blind gap."""
    if len(times) == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) > blind_seconds)
    firsts = [0, *(breaks + 1).tolist()]
    lasts = [*breaks.tolist(), len(times) - 1]
    return list(zip(firsts, lasts, strict=True))


def _movements(times: np.ndarray, scores: np.ndarray, *, run: tuple[int, int], rule: MicroEventRule) -> list[Rise]:
    """The rises within `run` that reach `enter`, from edge to edge, joined where little lies between them."""
    start, stop = run
    high = np.flatnonzero(scores[start : stop + 1] >= rule.leave) + start
    stretches = np.split(high, np.flatnonzero(np.diff(high) > 1) + 1) if len(high) else []
    odds, rest = log_odds(scores), float(log_odds(np.array(rule.rest)))
    joined = _joined(
        [
            _at_level(times, scores, first=int(stretch[0]), last=int(stretch[-1]), run=run, level=rule.leave)
            for stretch in stretches
            if scores[stretch].max() >= rule.enter
        ],
        seconds=rule.merge_seconds,
    )
    return _joined([half_height(times, odds, rise=rise, run=run, rest=rest) for rise in joined], seconds=0.0)


def _at_level(
    times: np.ndarray, scores: np.ndarray, *, first: int, last: int, run: tuple[int, int], level: float
) -> Rise:
    """Crops [first, last] up to where they fall below a level.

    At the edge of what was seen a movement may have begun earlier: the first crop is all that is known.
    """
    onset = crossing(times, scores, low=first - 1, high=first, level=level) if first > run[0] else float(times[first])
    offset = crossing(times, scores, low=last + 1, high=last, level=level) if last < run[1] else float(times[last])
    return Rise(first, last, onset, offset)


def _joined(rises: Sequence[Rise], *, seconds: float) -> list[Rise]:
    """The rises in order, those less than `seconds` apart as one."""
    joined: list[Rise] = []
    for rise in rises:
        if joined and rise.onset - joined[-1].offset < seconds:
            before = joined.pop()
            rise = Rise(before.first, rise.last, before.onset, rise.offset)
        joined.append(rise)
    return joined


def _active_units(probabilities: np.ndarray, labels: Sequence[str]) -> tuple[LabelScore, ...]:
    units = [
        LabelScore(label, round(float(probability), 4))
        for label, probability in zip(labels, probabilities, strict=True)
        if probability >= REPORTED_ACTION_UNIT_PROBABILITY
    ]
    return tuple(sorted(units, key=lambda unit: -unit.probability))
