"""Confidence intervals of figures over clips by the percentile bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval. The bounds are None for a single clip."""

    value: float
    low: float | None
    high: float | None


def bootstrap_estimate(
    statistic: Callable[[np.ndarray], float],
    *,
    clips: int,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Returns a figure and its confidence interval, deterministic for a given seed.

    Args:
        statistic: maps indices of clips, (n,) int64, with repetitions, to the figure. Resamples for which it is NaN
        are
            ignored.
        clips: number of clips; each resample draws as many with replacement.
        confidence: share of resamples inside the interval, between 0 and 1.
        resamples: number of resamples; with 0 the bounds are None.
        seed: seed of the resamples.
    """
    if clips < 1:
        raise ValueError(f"clips ({clips}) must be at least 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence ({confidence}) must be between 0 and 1")
    if resamples < 0:
        raise ValueError(f"resamples ({resamples}) must not be negative")
    value = float(statistic(np.arange(clips)))
    if clips < 2 or resamples == 0:
        return Estimate(value=value, low=None, high=None)
    generator = np.random.default_rng(seed)
    drawn = np.array([statistic(generator.integers(0, clips, size=clips)) for _ in range(resamples)], dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0:
        return Estimate(value=value, low=None, high=None)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value=value, low=float(low), high=float(high))
