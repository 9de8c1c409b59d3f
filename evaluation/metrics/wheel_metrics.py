"""Emotion-wheel (EW) scores of OV-MER, MER-UniBench, MER2025 and MER2026.

For one mapping rule, with Y and P the mapped sets of a clip:

    Precision_S = mean |Y & P| / |P|      Recall_S = mean |Y & P| / |Y|      F_S = harmonic mean of these two means

A clip with an empty reference set after mapping is skipped; a clip with an empty predicted set counts as 0. The
benchmarks average over different rules:

| figure | mean of |
|---|---|
| OV-MER M-avg | F_S of M1, M2 and both levels of every wheel |
| MER-UniBench fine-grained, MER2026 Track 2 | F_S of level 1 of every wheel |
| MER2025 Track 2 | mean level-1 F_S and mean level-2 F_S |
| MER-UniBench basic (HIT) | mean |Y & P| at level 1 of every wheel, one reference label per clip |

If precision and recall are both 0, F_S is 0 as in MER2026's script (NaN in MER2025's).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from microemo.data.emotion_wheel import EmotionWheels, Rule
from microemo.evaluation.metrics.label_parsing import LabelCell, parse_labels
from microemo.evaluation.metrics.open_vocabulary import check_pairs, harmonic_mean, overlap


@dataclass(frozen=True)
class WheelScores:
    """F_S, Precision_S and Recall_S, from 0 to 1, of one rule or as means over several."""

    f_score: float
    precision: float
    recall: float


def clip_wheel_scores(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    wheels: EmotionWheels,
    rules: Sequence[Rule],
) -> np.ndarray:
    """Returns precision and recall by clip and rule, (clips, rules, 2) float64; NaN if the clip is skipped."""
    check_pairs(references, predictions)
    scores = np.full((len(references), len(rules), 2), np.nan)
    for row, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
        labels = parse_labels(reference), parse_labels(prediction)
        for column, rule in enumerate(rules):
            expected, got = (wheels.map_labels(side, rule=rule) for side in labels)
            if expected:
                scores[row, column] = overlap(expected, got)
    return scores


def clip_hits(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    wheels: EmotionWheels,
    rules: Sequence[Rule],
) -> np.ndarray:
    """Returns |Y & P| of every clip under every rule, (clips, rules) float64; NaN if the reference is not mapped."""
    check_pairs(references, predictions)
    hits = np.full((len(references), len(rules)), np.nan)
    for row, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
        labels = parse_labels(reference), parse_labels(prediction)
        for column, rule in enumerate(rules):
            expected, got = (wheels.map_labels(side, rule=rule) for side in labels)
            if expected:
                hits[row, column] = len(expected & got)
    return hits


def scores_of_rules(clip_scores: np.ndarray) -> list[WheelScores]:
    """Returns one score per rule from (clips, rules, 2); 0 for a rule that skips every clip."""
    precision, recall = _means(clip_scores[..., 0]), _means(clip_scores[..., 1])
    return [
        WheelScores(f_score=harmonic_mean(p, r), precision=p, recall=r)
        for p, r in zip(precision.tolist(), recall.tolist(), strict=True)
    ]


def mean_of_rules(clip_scores: np.ndarray) -> WheelScores:
    """Returns the means over rules of F_S, Precision_S and Recall_S from (clips, rules, 2)."""
    scores = scores_of_rules(clip_scores)
    return WheelScores(
        f_score=float(np.mean([score.f_score for score in scores])),
        precision=float(np.mean([score.precision for score in scores])),
        recall=float(np.mean([score.recall for score in scores])),
    )


def mean_hit(hits: np.ndarray) -> float:
    """Returns the mean over rules of the mean over clips of hits (clips, rules)."""
    return float(np.mean(_means(hits)))


def wheel_scores(
    references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels, rule: Rule
) -> WheelScores:
    """Returns F_S, Precision_S and Recall_S under one rule."""
    return scores_of_rules(clip_wheel_scores(references, predictions, wheels=wheels, rules=[rule]))[0]


def ov_mer_average(
    references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels
) -> float:
    """Returns OV-MER's M-avg: the mean F_S over M1, M2 and both levels of every wheel."""
    clip_scores = clip_wheel_scores(references, predictions, wheels=wheels, rules=wheels.all_rules())
    return mean_of_rules(clip_scores).f_score


def mer_unibench_fine_grained(
    references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels
) -> WheelScores:
    """Returns the means over wheels of level-1 F_S, Precision_S and Recall_S (OV-MERD+ in MER-UniBench)."""
    rules = wheels.wheel_rules(level=1)
    return mean_of_rules(clip_wheel_scores(references, predictions, wheels=wheels, rules=rules))


def mer2025_track2(
    references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels
) -> float:
    """Returns the mean of the mean level-1 F_S and the mean level-2 F_S."""
    levels = [wheels.wheel_rules(level=level) for level in (1, 2)]
    scores = [clip_wheel_scores(references, predictions, wheels=wheels, rules=rules) for rules in levels]
    return float(np.mean([mean_of_rules(level_scores).f_score for level_scores in scores]))


def mer2026_track2(
    references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels
) -> float:
    """Returns the mean over wheels of level-1 F_S."""
    return mer_unibench_fine_grained(references, predictions, wheels=wheels).f_score


def hit_rate(references: Sequence[LabelCell], predictions: Sequence[LabelCell], *, wheels: EmotionWheels) -> float:
    """Returns HIT: how often the reference label of a clip is among the predicted labels, at level 1, over wheels.

    Clips whose reference label is not on the wheel (`neutral`) are skipped.
    """
    return mean_hit(clip_hits(references, predictions, wheels=wheels, rules=wheels.wheel_rules(level=1)))


def wheel_grouping(wheels: EmotionWheels, *, rule: Rule) -> Callable[[Sequence[str]], dict[str, str]]:
    """Returns a grouping for `open_vocabulary`: words of one node match, other words are not grouped."""

    def group(words: Sequence[str]) -> dict[str, str]:
        mapped = {word: wheels.map_label(word, rule=rule) for word in words}
        return {word: node for word, node in mapped.items() if node is not None}

    return group


def _means(values: np.ndarray) -> np.ndarray:
    """Returns the means over the first axis without NaN; 0 if all are NaN."""
    counted = ~np.isnan(values)
    totals = np.where(counted, values, 0.0).sum(axis=0)
    return totals / np.maximum(counted.sum(axis=0), 1)
