"""Closed-set scores (WAR, UAR, F1) and the sentiment scores of MER-UniBench (WAF, ACC)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microemo.evaluation.metrics.open_vocabulary import check_pairs

SENTIMENT_VALUES = {"positive": 1, "negative": -1, "neutral": 0}


@dataclass(frozen=True)
class ClosedSetScores:
    """Each from 0 to 1.

    Args:
        war: weighted average recall, which is accuracy.
        uar: unweighted average recall over the classes of the references.
        macro_f1: mean F1 over the classes of references or predictions.
        weighted_f1: mean F1 weighted by the frequency of the class in the references (WAF).
    """

    war: float
    uar: float
    macro_f1: float
    weighted_f1: float


@dataclass(frozen=True)
class SentimentScores:
    """Weighted F1 and accuracy, from 0 to 1, of positive against not positive. clips: number of clips scored."""

    waf: float
    acc: float
    clips: int


def closed_set_scores(references: Sequence[str], predictions: Sequence[str]) -> ClosedSetScores:
    """Returns the scores for one label per clip. A predicted label that no reference has counts as a mistake."""
    check_pairs(references, predictions)
    classes, codes = np.unique([*references, *predictions], return_inverse=True)
    expected, given = codes[: len(references)], codes[len(references) :]
    return _scores_of_confusion(np.bincount(expected * len(classes) + given, minlength=len(classes) ** 2))


def sentiment_scores(references: Sequence[float], predictions: Sequence[str | float]) -> SentimentScores:
    """Returns WAF and ACC by the rules of MER-UniBench for MOSI, MOSEI, SIMS and SIMSv2.

    Clips with a reference of 0 are skipped. The classes are positive (> 0) and not positive, which includes neutral
    and unreadable predictions.

    Args:
        references: sentiment of each clip as a number, of which the sign is used.
        predictions: a number, or a text naming positive, negative or neutral (see `sentiment_value`).
    """
    check_pairs(references, predictions)
    scored = [(ref, got) for ref, got in zip(references, predictions, strict=True) if ref != 0]
    if not scored:
        raise ValueError(f"references ({len(references)} clips) must hold one that is not 0 (neutral)")
    names = ("not positive", "positive")
    scores = closed_set_scores(
        [names[ref > 0] for ref, _ in scored], [names[sentiment_value(got) > 0] for _, got in scored]
    )
    return SentimentScores(waf=scores.weighted_f1, acc=scores.war, clips=len(scored))


def sentiment_value(prediction: str | float) -> float:
    """Returns 1, -1 or 0 for a text that names exactly one sentiment, 0 for other texts; numbers are unchanged."""
    if not isinstance(prediction, str):
        return float(prediction)
    named = {word for word in re.findall("[a-z]+", prediction.lower()) if word in SENTIMENT_VALUES}
    return SENTIMENT_VALUES[named.pop()] if len(named) == 1 else 0


def _scores_of_confusion(counts: np.ndarray) -> ClosedSetScores:
    """counts: (classes * classes,), how often each pair of reference and prediction occurs, reference first."""
    size = math.isqrt(len(counts))
    confusion = counts.reshape(size, size)
    right, expected, given = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * right / (expected + given)  # each class occurs on at least one side
    return ClosedSetScores(
        war=float(right.sum() / expected.sum()),
        uar=float(np.mean(right[expected > 0] / expected[expected > 0])),
        macro_f1=float(f1.mean()),
        weighted_f1=float((f1 * expected).sum() / expected.sum()),
    )
