"""Multi-label F1 with a threshold per label, from counts that are additive over clips.

U utterances (or other items), E labels. Targets are 1, 0 or `UNKNOWN`; unknown targets are not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

UNKNOWN = -100.0
DEFAULT_THRESHOLD = 0.5
THRESHOLD_BOUNDS = (0.02, 0.98)  # beyond these a label would be predicted always or never


@dataclass(frozen=True)
class Thresholds:
    """The probability from which each label counts as predicted. of_label: those that differ from `default`."""

    default: float = DEFAULT_THRESHOLD
    of_label: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for value in (self.default, *(self.of_label or {}).values()):
            if not 0 < value < 1:
                raise ValueError(f"thresholds must lie between 0 and 1, got {value}")

    def of(self, names: Sequence[str]) -> np.ndarray:
        """(E,) float64 for the labels `names`."""
        return np.array([(self.of_label or {}).get(name, self.default) for name in names], dtype=np.float64)


def label_counts(targets: np.ndarray, probabilities: np.ndarray, *, thresholds: np.ndarray) -> np.ndarray:
    """Returns (U, E, 3) float64: true positives, false positives and false negatives, to be summed over utterances.

    Args:
        targets: (U, E), 1, 0 or `UNKNOWN`.
        probabilities: (U, E).
        thresholds: (E,); a label is predicted if its probability is at least the threshold.
    """
    if targets.shape != probabilities.shape:
        raise ValueError(f"targets {targets.shape} and probabilities {probabilities.shape} must be of one shape")
    known, true, given = targets != UNKNOWN, targets > 0.5, probabilities >= thresholds
    return np.stack([known & true & given, known & ~true & given, known & true & ~given], axis=-1).astype(np.float64)


def micro_f1(counts: np.ndarray) -> float:
    """Returns the F1 of (E, 3) counts summed over labels; 0 if there are neither predictions nor references."""
    return float(_f1(counts.sum(axis=0)))


def macro_f1(counts: np.ndarray, *, labels: np.ndarray) -> float:
    """Returns the mean F1 over labels from (E, 3) counts.

    Args:
        labels: (E,) bool, the labels to average over: those of the data set, not those of a resample.
    """
    return float(_f1(counts[labels]).mean())


def fit_thresholds(targets: np.ndarray, probabilities: np.ndarray, *, names: Sequence[str]) -> Thresholds:
    """Returns the threshold of each label with the highest F1 on these items, which must not be test items.

    A label without positive targets keeps the default. Among thresholds of equal F1 the one nearest to the default is
    chosen.

    Args:
        targets, probabilities: (U, E).
        names: names of the E labels.
    """
    fitted = {}
    for column, name in enumerate(names):
        known = targets[:, column] != UNKNOWN
        true, scores = targets[known, column] > 0.5, probabilities[known, column]
        if true.any():
            fitted[name] = _best_threshold(true, scores)
    return Thresholds(of_label=fitted)


def _best_threshold(true: np.ndarray, scores: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(true[order])
    f1 = 2 * hits / (np.arange(1, len(true) + 1) + true.sum())
    # A cut lies halfway to the next lower score, and only between different scores.
    following = np.append(ranked[1:], 0.0)
    cuts = np.clip((ranked + following) / 2, *THRESHOLD_BOUNDS)
    possible = (following < cuts) & (cuts <= ranked)
    if not possible.any():
        return DEFAULT_THRESHOLD
    best = np.flatnonzero(possible & (f1 >= f1[possible].max() - 1e-12))
    return round(float(cuts[best[np.argmin(np.abs(cuts[best] - DEFAULT_THRESHOLD))]]), 4)


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 of (..., 3) counts."""
    right, wrong, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    whole = 2 * right + wrong + missed
    return np.divide(2 * right, whole, out=np.zeros_like(whole), where=whole > 0)
