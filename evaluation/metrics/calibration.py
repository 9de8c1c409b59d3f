"""Calibration: whether emotions predicted with probability 0.7 are present in 70 % of the clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from microemo.evaluation.metrics.open_vocabulary import check_pairs


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions of one probability range: number, mean probability, and relative frequency of true outcomes."""

    count: int
    probability: float
    frequency: float


def reliability_bins(
    probabilities: Sequence[float] | np.ndarray,
    outcomes: Sequence[bool] | np.ndarray,
    *,
    bins: int = 15,
    binning: Literal["width", "mass"] = "width",
) -> list[ReliabilityBin]:
    """Returns the non-empty bins, from low to high probability.

    Args:
        probabilities: from 0 to 1, of binary predictions (one per clip and emotion, or of the top label).
        outcomes: whether each prediction was true.
        bins: number of bins.
        binning: "width" cuts 0 to 1 into equal ranges, each open below and closed above (0 goes to the first);
            "mass" gives each bin the same number of predictions.
    """
    check_pairs(probabilities, outcomes)
    if bins < 1:
        raise ValueError(f"bins ({bins}) must be at least 1")
    values, truths = np.asarray(probabilities, dtype=np.float64), np.asarray(outcomes, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"probabilities must lie from 0 to 1, got {values.min()} to {values.max()}")
    if binning == "width":
        numbers = _bin_of_width(values, bins=bins)
    elif binning == "mass":
        numbers = np.empty(len(values), dtype=int)
        numbers[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // len(values)
    else:
        raise ValueError(f"binning ({binning!r}) must be 'width' or 'mass'")
    return [
        ReliabilityBin(
            int((numbers == n).sum()), float(values[numbers == n].mean()), float(truths[numbers == n].mean())
        )
        for n in np.unique(numbers)
    ]


def expected_calibration_error(
    probabilities: Sequence[float] | np.ndarray,
    outcomes: Sequence[bool] | np.ndarray,
    *,
    bins: int = 15,
    binning: Literal["width", "mass"] = "width",
) -> float:
    """Returns ECE: the mean over predictions of |frequency - probability| of their bin, from 0 (best) to 1."""
    filled_bins = reliability_bins(probabilities, outcomes, bins=bins, binning=binning)
    return sum(item.count * abs(item.frequency - item.probability) for item in filled_bins) / len(probabilities)


def bin_sums(probabilities: np.ndarray, outcomes: np.ndarray, *, bins: int = 15) -> np.ndarray:
    """Returns (bins, 3) float64 of equally wide bins: count, sum of probabilities, number of true outcomes.

    The sums are additive over clips, see `calibration_error_of_sums`.
    """
    check_pairs(probabilities, outcomes)
    numbers = _bin_of_width(probabilities, bins=bins)
    columns = (np.ones(len(numbers)), probabilities, outcomes.astype(np.float64))
    return np.stack([np.bincount(numbers, weights=column, minlength=bins) for column in columns], axis=1)


def calibration_error_of_sums(sums: np.ndarray) -> float:
    """Returns the ECE from the (bins, 3) sums of `bin_sums`; NaN if all counts are 0."""
    count = sums[:, 0].sum()
    return float(np.abs(sums[:, 2] - sums[:, 1]).sum() / count) if count else float("nan")


def top_label_calibration_error(
    probabilities: Sequence[Sequence[float]],
    labels: Sequence[int],
    *,
    bins: int = 15,
    binning: Literal["width", "mass"] = "width",
) -> float:
    """Returns the ECE of the highest probability of a closed-set classifier.

    Args:
        probabilities: (clips, classes), each row summing to 1.
        labels: the true class of each clip.
    """
    check_pairs(probabilities, labels)
    table = np.asarray(probabilities, dtype=np.float64)
    right = table.argmax(axis=1) == np.asarray(labels)
    return expected_calibration_error(table.max(axis=1).tolist(), right.tolist(), bins=bins, binning=binning)


def brier_score(probabilities: Sequence[float] | np.ndarray, outcomes: Sequence[bool] | np.ndarray) -> float:
    """Returns the mean squared difference between probability and outcome, from 0 (best) to 1."""
    check_pairs(probabilities, outcomes)
    return float(np.mean((np.asarray(probabilities, dtype=np.float64) - np.asarray(outcomes, dtype=np.float64)) ** 2))


def _bin_of_width(values: np.ndarray, *, bins: int) -> np.ndarray:
    """Returns the index of the equally wide bin, open below and closed above; 0 belongs to the first."""
    return np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
