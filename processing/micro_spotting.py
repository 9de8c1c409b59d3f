"""Rises of the micro-expression probability of one face: where they are, and where they begin and end. Pure functions.

The detector that makes events of them is `facial_events`.
"""

from dataclasses import dataclass

import numpy as np

SHORTEST_SECONDS = 0.04  # one frame at 25 fps, the shortest movement the literature names
LONGEST_SECONDS = 0.5  # what lasts longer is an ordinary (macro) expression
SUREST = 1e-4  # a probability of a float32 sigmoid may be 1; nothing is surer than this


@dataclass(frozen=True)
class MicroExpressionRule:
    """When a rise of the micro-expression probability counts as an event.

        probability
        peak |           /\\
        enter|..........|..|........   the event must reach `enter` somewhere ...
        leave|......../....\\......    ... and is one as long as it stays above `leave`
        rest |______/        \\____
                   on  apex  off       half way from `rest` to its peak, in log-odds (`half_height`)

    The probability is first averaged over `smooth_seconds` around each crop: a movement that one crop alone shows is
    mostly none. Two levels (hysteresis) keep a score that trembles around one threshold from becoming many events.
    Events less than `merge_seconds` apart are one movement. Only then does duration decide: outside
    [shortest, longest] the movement is no micro-expression and is dropped. Crops more than `blind_seconds` apart
    belong to no common event, since nobody saw what happened between.
    """

    enter: float = 0.55
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


@dataclass(frozen=True)
class Rise:
    """A rise: crops [first, last] that belong to it, and the times of its edges in seconds."""

    first: int
    last: int
    onset: float
    offset: float


def rises_of(times: np.ndarray, scores: np.ndarray, *, rule: MicroExpressionRule) -> list[Rise]:
    """The rises that count, in order of time.

    Args:
        times: (F,) seconds, increasing.
        scores: (F,) probabilities, averaged already (`window_mean`).
    """
    rises = [rise for run in seen_runs(times, rule.blind_seconds) for rise in _movements(times, scores, run, rule)]
    # 0.06 - 0.02 is a hair less than 0.04, hence the rounding.
    lengths = [round(rise.offset - rise.onset, 6) for rise in rises]
    return [
        rise
        for rise, seconds in zip(rises, lengths, strict=True)
        if rule.shortest_seconds <= seconds <= rule.longest_seconds
    ]


def window_mean(times: np.ndarray, scores: np.ndarray, *, seconds: float) -> np.ndarray:
    """Each score's mean with those at most half of `seconds` away."""
    reach = seconds / 2 + 1e-6  # crops exactly so far away are not to be lost by rounding
    first = np.searchsorted(times, times - reach, side="left")
    last = np.searchsorted(times, times + reach, side="right")
    sums = np.concatenate(([0.0], np.cumsum(scores, dtype=np.float64)))
    return np.clip((sums[last] - sums[first]) / (last - first), 0.0, 1.0) if len(times) else scores


def seen_runs(times: np.ndarray, blind_seconds: float) -> list[tuple[int, int]]:
    """Index ranges [first, last] of crops that follow one another without a blind gap."""
    if len(times) == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) > blind_seconds + 1e-6)
    firsts = [0, *(breaks + 1).tolist()]
    lasts = [*breaks.tolist(), len(times) - 1]
    return list(zip(firsts, lasts, strict=True))


def log_odds(scores: np.ndarray) -> np.ndarray:
    """(F,) logarithm of the odds of probabilities (F,), within what can be told from certainty."""
    bounded = np.clip(scores, SUREST, 1 - SUREST)
    return np.log(bounded / (1 - bounded))


def half_height(times: np.ndarray, odds: np.ndarray, *, rise: Rise, run: tuple[int, int], rest: float) -> Rise:
    """The rise between the crossings of half its height.

        peak |        /\\
             |       /  \\
        half |......|....|......   a sharp rise is narrow here, a faint one wide
        rest |_____/      \\____

    A model is sure of a strong event well before and after it, and of a faint one at its apex alone: a fixed level
    makes the first too long and the second too short.

    Args:
        times: (F,) seconds.
        odds: (F,) `log_odds` of the scores.
        rise: found otherwise; its crops are followed outwards, or left out from the edges.
        run: first and last crop that were seen without a gap; a rise that reaches the end has its edge there.
        rest: log-odds of a face at which nothing happens.
    """
    level = (odds[rise.first : rise.last + 1].max() + rest) / 2
    inside = np.flatnonzero(odds[rise.first : rise.last + 1] >= level) + rise.first
    first, last = int(inside[0]), int(inside[-1])
    while first > run[0] and odds[first - 1] >= level:
        first -= 1
    while last < run[1] and odds[last + 1] >= level:
        last += 1
    onset, offset = edges(times, odds, first=first, last=last, run=run, level=level)
    return Rise(first, last, onset, offset)


def edges(
    times: np.ndarray, values: np.ndarray, *, first: int, last: int, run: tuple[int, int], level: float
) -> tuple[float, float]:
    """Onset and offset of crops [first, last]: when the straight line to the neighbour outside passes `level`.

    At the edge of what was seen a movement may have begun earlier: the first crop is all that is known.
    """

    def crossing(outside: int, inside: int) -> float:
        fraction = (values[inside] - level) / (values[inside] - values[outside])
        return float(times[inside] + fraction * (times[outside] - times[inside]))

    onset = crossing(first - 1, first) if first > run[0] else float(times[first])
    offset = crossing(last + 1, last) if last < run[1] else float(times[last])
    return onset, offset


def _movements(times: np.ndarray, scores: np.ndarray, run: tuple[int, int], rule: MicroExpressionRule) -> list[Rise]:
    """The rises within `run` that reach `enter`, from edge to edge, joined where little lies between them."""
    start, stop = run
    high = np.flatnonzero(scores[start : stop + 1] >= rule.leave) + start
    stretches = np.split(high, np.flatnonzero(np.diff(high) > 1) + 1) if len(high) else []
    odds, rest = log_odds(scores), float(log_odds(np.array(rule.rest)))
    found = [(int(one[0]), int(one[-1])) for one in stretches if scores[one].max() >= rule.enter]
    rises = [
        Rise(first, last, *edges(times, scores, first=first, last=last, run=run, level=rule.leave))
        for first, last in found
    ]
    joined = _joined(rises, seconds=rule.merge_seconds)
    return _joined([half_height(times, odds, rise=rise, run=run, rest=rest) for rise in joined], seconds=0.0)


def _joined(rises: list[Rise], *, seconds: float) -> list[Rise]:
    """The rises in order, those less than `seconds` apart as one."""
    joined: list[Rise] = []
    for rise in rises:
        if joined and rise.onset - joined[-1].offset < seconds:
            before = joined.pop()
            rise = Rise(before.first, rise.last, before.onset, rise.offset)
        joined.append(rise)
    return joined
