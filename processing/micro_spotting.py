"""Spots micro-expressions in one face's probability curve: peaks with onset and offset. Pure functions.

`facial_events` turns the peaks into events.
"""

from dataclasses import dataclass

import numpy as np

MIN_SECONDS = 0.04  # one frame at 25 fps, the shortest duration in the literature
MAX_SECONDS = 0.5  # longer ones are macro-expressions
PROBABILITY_EPSILON = 1e-4  # keeps the log-odds finite: a float32 sigmoid can return 1


@dataclass(frozen=True)
class MicroExpressionRule:
    """When a peak of the micro-expression probability counts as an event.

        probability
        peak |           /\\
        enter|..........|..|........   the event must reach `enter` somewhere ...
        leave|......../....\\......    ... and extends while it stays above `leave`
        rest |______/        \\____
                   on  apex  off       halfway between `rest` and the peak, in log-odds (`half_height`)

    1. The probability is averaged over `smooth_seconds` around each crop: a peak in a single crop is mostly noise.
    2. An event must reach `enter` and extends while the probability stays above `leave`. This hysteresis keeps a
       noisy score from producing many events.
    3. Events less than `merge_seconds` apart are merged.
    4. Events outside [shortest_seconds, longest_seconds] are dropped.

    Crops more than `blind_seconds` apart never belong to one event, because the time between them was not observed.
    """

    enter: float = 0.55
    leave: float = 0.3
    rest: float = 0.05
    smooth_seconds: float = 0.1
    shortest_seconds: float = MIN_SECONDS
    longest_seconds: float = MAX_SECONDS
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
class Peak:
    """A peak: its crops [first, last], and its onset and offset in seconds."""

    first: int
    last: int
    onset: float
    offset: float


def find_peaks(times: np.ndarray, scores: np.ndarray, *, rule: MicroExpressionRule) -> list[Peak]:
    """Peaks that satisfy the rule, in order of time.

    Args:
        times: (F,) seconds, increasing.
        scores: (F,) probabilities, already smoothed (`moving_average`).
    """
    peaks = [
        peak for run in contiguous_runs(times, rule.blind_seconds) for peak in _peaks_of_run(times, scores, run, rule)
    ]
    # rounded, because 0.06 - 0.02 is slightly less than 0.04 in floating point
    lengths = [round(peak.offset - peak.onset, 6) for peak in peaks]
    return [
        peak
        for peak, seconds in zip(peaks, lengths, strict=True)
        if rule.shortest_seconds <= seconds <= rule.longest_seconds
    ]


def moving_average(times: np.ndarray, scores: np.ndarray, *, seconds: float) -> np.ndarray:
    """Mean of each score and those at most `seconds / 2` away from it."""
    reach = seconds / 2 + 1e-6  # includes crops exactly at the edge despite rounding
    first = np.searchsorted(times, times - reach, side="left")
    last = np.searchsorted(times, times + reach, side="right")
    sums = np.concatenate(([0.0], np.cumsum(scores, dtype=np.float64)))
    return np.clip((sums[last] - sums[first]) / (last - first), 0.0, 1.0) if len(times) else scores


def contiguous_runs(times: np.ndarray, blind_seconds: float) -> list[tuple[int, int]]:
    """Index ranges [first, last] of crops without a gap of more than `blind_seconds`."""
    if len(times) == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) > blind_seconds + 1e-6)
    firsts = [0, *(breaks + 1).tolist()]
    lasts = [*breaks.tolist(), len(times) - 1]
    return list(zip(firsts, lasts, strict=True))


def log_odds(scores: np.ndarray) -> np.ndarray:
    """(F,) log-odds of probabilities (F,), clipped by `PROBABILITY_EPSILON`."""
    bounded = np.clip(scores, PROBABILITY_EPSILON, 1 - PROBABILITY_EPSILON)
    return np.log(bounded / (1 - bounded))


def half_height(times: np.ndarray, odds: np.ndarray, *, peak: Peak, run: tuple[int, int], rest: float) -> Peak:
    """Returns the peak with its edges at half height.

        top  |        /\\
             |       /  \\
        half |......|....|......   narrow for a sharp peak, wide for a faint one
        rest |_____/      \\____

    At a fixed level, a strong event would be measured too long and a faint one too short: the model is confident well
    before and after a strong event, but only at the apex of a faint one.

    Args:
        times: (F,) seconds.
        odds: (F,) `log_odds` of the scores.
        peak: detected before; its crops are extended or trimmed at the edges.
        run: first and last crop observed without a gap; edges never lie outside.
        rest: log-odds of a face without movement.
    """
    level = (odds[peak.first : peak.last + 1].max() + rest) / 2
    inside = np.flatnonzero(odds[peak.first : peak.last + 1] >= level) + peak.first
    first, last = int(inside[0]), int(inside[-1])
    while first > run[0] and odds[first - 1] >= level:
        first -= 1
    while last < run[1] and odds[last + 1] >= level:
        last += 1
    onset, offset = edges(times, odds, first=first, last=last, run=run, level=level)
    return Peak(first, last, onset, offset)


def edges(
    times: np.ndarray, values: np.ndarray, *, first: int, last: int, run: tuple[int, int], level: float
) -> tuple[float, float]:
    """Onset and offset of crops [first, last]: where the line to the next crop outside crosses `level`.

    At the end of a run the event may continue unobserved; the last observed crop is then its edge.
    """

    def crossing(outside: int, inside: int) -> float:
        fraction = (values[inside] - level) / (values[inside] - values[outside])
        return float(times[inside] + fraction * (times[outside] - times[inside]))

    onset = crossing(first - 1, first) if first > run[0] else float(times[first])
    offset = crossing(last + 1, last) if last < run[1] else float(times[last])
    return onset, offset


def _peaks_of_run(
    times: np.ndarray, scores: np.ndarray, run: tuple[int, int], rule: MicroExpressionRule
) -> list[Peak]:
    """Peaks within `run` that reach `enter`, with edges at half height, merged where they are close."""
    start, stop = run
    high = np.flatnonzero(scores[start : stop + 1] >= rule.leave) + start
    segments = np.split(high, np.flatnonzero(np.diff(high) > 1) + 1) if len(high) else []
    odds, rest = log_odds(scores), float(log_odds(np.array(rule.rest)))
    bounds = [(int(rows[0]), int(rows[-1])) for rows in segments if scores[rows].max() >= rule.enter]
    peaks = [
        Peak(first, last, *edges(times, scores, first=first, last=last, run=run, level=rule.leave))
        for first, last in bounds
    ]
    merged = _merge_close(peaks, seconds=rule.merge_seconds)
    return _merge_close([half_height(times, odds, peak=peak, run=run, rest=rest) for peak in merged], seconds=0.0)


def _merge_close(peaks: list[Peak], *, seconds: float) -> list[Peak]:
    """The peaks in order, with those less than `seconds` apart merged into one."""
    merged: list[Peak] = []
    for peak in peaks:
        if merged and peak.onset - merged[-1].offset < seconds:
            previous = merged.pop()
            peak = Peak(previous.first, peak.last, previous.onset, peak.offset)
        merged.append(peak)
    return merged
