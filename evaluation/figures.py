"""Figures of reference and predicted clip labels, as functions of the clips for the bootstrap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microemo.data.default_wheel import sentiment_of_labels
from microemo.data.emotion_wheel import EmotionWheels
from microemo.evaluation.clip_labels import ClipLabels
from microemo.evaluation.metrics.classification import (
    ClosedSetScores,
    SentimentScores,
    closed_set_scores,
    sentiment_scores,
    sentiment_value,
)
from microemo.evaluation.metrics.open_vocabulary import (
    Grouping,
    SetScores,
    clip_set_scores,
    clip_set_scores_of_groups,
    mean_of_clips,
)
from microemo.evaluation.metrics.valence_arousal import concordance, root_mean_squared_error
from microemo.evaluation.metrics.wheel_metrics import (
    clip_hits,
    clip_wheel_scores,
    mean_hit,
    mean_of_rules,
    scores_of_rules,
)
from microemo.evaluation.score_table import FAMILIES, Family

Pairs = Sequence[tuple[ClipLabels, ClipLabels]]  # reference and prediction of each clip


@dataclass(frozen=True)
class Figure:
    """One score over clips.

    Args:
        name: as in published tables.
        clips: number of clips.
        statistic: indices of clips, with repetitions -> the score.
        percent: whether tables show it in percent.
    """

    name: str
    clips: int
    statistic: Callable[[np.ndarray], float]
    percent: bool = True


@dataclass(frozen=True)
class Matching:
    """How labels are compared.

    Args:
        wheels: for the families wheel, wheel-columns and hit.
        grouping: for the family set.
        stored_groups: clip name -> text of its groups; replaces `grouping`.
    """

    wheels: EmotionWheels
    grouping: Grouping
    stored_groups: Mapping[str, str] | None = None


def figures_of(pairs: Pairs, *, family: Family, matching: Matching) -> list[Figure]:
    """Returns the figures of a family; none if references or predictions lack the labels for it."""
    builders: dict[Family, Callable[[Pairs, Matching], list[Figure]]] = {
        "set": _set_figures,
        "wheel": _wheel_figures,
        "wheel-columns": _wheel_column_figures,
        "hit": _hit_figures,
        "closed-set": _closed_set_figures,
        "sentiment": _sentiment_figures,
        "valence-arousal": _valence_arousal_figures,
    }
    if family not in builders:
        raise ValueError(f"family ({family!r}) must be one of {FAMILIES}")
    return builders[family](pairs, matching)


def _label_pairs(pairs: Pairs) -> Pairs:
    return [pair for pair in pairs if pair[0].labels is not None and pair[1].labels is not None]


def _set_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    pairs = _label_pairs(pairs)
    if not pairs:
        return []
    references, predictions = [ref.labels for ref, _ in pairs], [got.labels for _, got in pairs]
    if matching.stored_groups is None:
        scores = clip_set_scores(references, predictions, grouping=matching.grouping)
    else:
        absent = [ref.name for ref, _ in pairs if ref.name not in matching.stored_groups]
        if absent:
            raise ValueError(f"stored_groups must hold every clip; {len(absent)} are missing, first {absent[0]!r}")
        groups = [matching.stored_groups[ref.name] for ref, _ in pairs]
        scores = clip_set_scores_of_groups(references, predictions, groups=groups)

    def figure(name: str, value: Callable[[SetScores], float]) -> Figure:
        return Figure(name, len(pairs), lambda chosen: value(mean_of_clips(scores[chosen])))

    return [
        figure("Accuracy_S", lambda means: means.accuracy),
        figure("Recall_S", lambda means: means.recall),
        figure("Avg", lambda means: means.average),
        figure("F_S", lambda means: means.f_score),
    ]


def _wheel_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    pairs = _label_pairs(pairs)
    if not pairs:
        return []
    scores = _wheel_scores(pairs, matching)
    level1, level2 = scores[:, 2::2], scores[:, 3::2]  # columns: M1, M2, then level 1 and level 2 of each wheel

    def figure(name: str, value: Callable[[np.ndarray], float]) -> Figure:
        return Figure(name, len(pairs), value)

    return [
        figure("EW level 1 F_S (MER-UniBench, MER2026)", lambda chosen: mean_of_rules(level1[chosen]).f_score),
        figure("EW level 1 Precision_S", lambda chosen: mean_of_rules(level1[chosen]).precision),
        figure("EW level 1 Recall_S", lambda chosen: mean_of_rules(level1[chosen]).recall),
        figure("EW level 2 F_S", lambda chosen: mean_of_rules(level2[chosen]).f_score),
        figure(
            "EW both levels F_S (MER2025)",
            lambda chosen: (mean_of_rules(level1[chosen]).f_score + mean_of_rules(level2[chosen]).f_score) / 2,
        ),
        figure("EW M-avg (OV-MER)", lambda chosen: mean_of_rules(scores[chosen]).f_score),
    ]


def _wheel_column_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    pairs = _label_pairs(pairs)
    if not pairs:
        return []
    scores = _wheel_scores(pairs, matching)

    def figure(name: str, column: int) -> Figure:
        one_rule = scores[:, column : column + 1]
        return Figure(f"EW {name} F_S", len(pairs), lambda chosen: scores_of_rules(one_rule[chosen])[0].f_score)

    return [figure(str(rule), column) for column, rule in enumerate(matching.wheels.all_rules())]


def _wheel_scores(pairs: Pairs, matching: Matching) -> np.ndarray:
    return clip_wheel_scores(
        [ref.labels for ref, _ in pairs],
        [got.labels for _, got in pairs],
        wheels=matching.wheels,
        rules=matching.wheels.all_rules(),
    )


def _hit_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    pairs = [pair for pair in pairs if pair[0].emotion is not None and pair[1].labels is not None]
    if not pairs:
        return []
    hits = clip_hits(
        [ref.emotion for ref, _ in pairs],
        [got.labels for _, got in pairs],
        wheels=matching.wheels,
        rules=matching.wheels.wheel_rules(level=1),
    )
    return [Figure("HIT", len(pairs), lambda chosen: mean_hit(hits[chosen]))]


def _closed_set_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    """A clip without a predicted label counts as a mistake."""
    if not any(got.emotion is not None for _, got in pairs):
        return []
    pairs = [pair for pair in pairs if pair[0].emotion is not None]
    if not pairs:
        return []
    references = np.array([ref.emotion for ref, _ in pairs])
    predictions = np.array([got.emotion or "" for _, got in pairs])

    def figure(name: str, value: Callable[[ClosedSetScores], float]) -> Figure:
        return Figure(
            name,
            len(pairs),
            lambda chosen: value(closed_set_scores(references[chosen].tolist(), predictions[chosen].tolist())),
        )

    return [
        figure("WAR", lambda scores: scores.war),
        figure("UAR", lambda scores: scores.uar),
        figure("Macro F1", lambda scores: scores.macro_f1),
        figure("WAF", lambda scores: scores.weighted_f1),
    ]


def _sentiment_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    """The sentiment of a prediction without one is derived from its open-vocabulary labels by MicroEmo's wheel."""
    signed = [
        (float(ref.sentiment), _predicted_sentiment(got))
        for ref, got in pairs
        if isinstance(ref.sentiment, float)
        and ref.sentiment != 0
        and (got.sentiment is not None or got.labels is not None)
    ]
    if not signed:
        return []

    references, predictions = np.array(signed).T

    def figure(name: str, value: Callable[[SentimentScores], float]) -> Figure:
        return Figure(
            name,
            len(signed),
            lambda chosen: value(sentiment_scores(references[chosen].tolist(), predictions[chosen].tolist())),
        )

    return [
        figure("Sentiment WAF", lambda scores: scores.waf),
        figure("Sentiment ACC", lambda scores: scores.acc),
    ]


def _predicted_sentiment(prediction: ClipLabels) -> float:
    named = prediction.sentiment
    return sentiment_value(sentiment_of_labels(prediction.labels or ()) if named is None else named)


def _valence_arousal_figures(pairs: Pairs, matching: Matching) -> list[Figure]:
    figures = []
    for name in ("valence", "arousal"):
        values = [(getattr(ref, name), getattr(got, name)) for ref, got in pairs if getattr(ref, name) is not None]
        absent = sum(got is None for _, got in values)
        if absent == len(values):
            continue
        if absent:
            raise ValueError(f"predictions must hold {name} for every clip or none; {absent} of {len(values)} lack it")
        known = np.array(values, dtype=np.float64)
        figures.append(_value_figure(f"{name.capitalize()} CCC", known, score=concordance))
        figures.append(_value_figure(f"{name.capitalize()} RMSE", known, score=root_mean_squared_error))
    return figures


def _value_figure(
    name: str, values: np.ndarray, *, score: Callable[[Sequence[float], Sequence[float]], float]
) -> Figure:
    """values (clips, 2): reference and prediction."""
    return Figure(
        name, len(values), lambda chosen: score(values[chosen, 0].tolist(), values[chosen, 1].tolist()), percent=False
    )
