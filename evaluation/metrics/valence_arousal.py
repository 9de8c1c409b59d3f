"""Scores of valence and arousal: Lin's concordance correlation (CCC) and root mean squared error (RMSE)."""

from collections.abc import Sequence

import numpy as np

from microemo.evaluation.metrics.open_vocabulary import check_pairs


def concordance(references: Sequence[float], predictions: Sequence[float]) -> float:
    """Returns 2 cov / (var + var + (difference of means)^2) with population moments, from -1 to 1.

    Pairs with a NaN are skipped. The result is NaN if both sides are the same constant.
    """
    expected, given = _known_pairs(references, predictions)
    covariance = np.mean((expected - expected.mean()) * (given - given.mean()))
    spread = expected.var() + given.var() + (expected.mean() - given.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else float("nan")


def root_mean_squared_error(references: Sequence[float], predictions: Sequence[float]) -> float:
    """Returns the RMSE in the unit of the values. Pairs with a NaN are skipped."""
    expected, given = _known_pairs(references, predictions)
    return float(np.sqrt(np.mean((expected - given) ** 2)))


def _known_pairs(references: Sequence[float], predictions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    check_pairs(references, predictions)
    expected, given = np.asarray(references, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    known = ~(np.isnan(expected) | np.isnan(given))
    if not known.any():
        raise ValueError(f"references and predictions ({len(expected)} pairs) must hold a pair without NaN")
    return expected[known], given[known]
