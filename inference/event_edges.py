"""Where a rise of a probability begins and ends: at half its height above rest, in log-odds. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A probability of a float32 sigmoid may be 1; nothing is surer than this.
SUREST = 1e-4


@dataclass(frozen=True)
class Rise:
    """A rise: crops [first, last] that belong to it, and the times of its edges."""

    first: int
    last: int
    onset: float
    offset: float


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
    onset = crossing(times, odds, low=first - 1, high=first, level=level) if first > run[0] else float(times[first])
    offset = crossing(times, odds, low=last + 1, high=last, level=level) if last < run[1] else float(times[last])
    return Rise(first, last, onset, offset)


def crossing(times: np.ndarray, values: np.ndarray, *, low: int, high: int, level: float) -> float:
    """The time at which the straight line between two neighbouring crops passes `level`."""
    fraction = (values[high] - level) / (values[high] - values[low])
    return float(times[high] + fraction * (times[low] - times[high]))
