"""Figures of a model's reports against reference labels, as functions of the clips for the bootstrap.

Scores are over utterances, but resamples are over clips, as the utterances of one clip are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from microemo.evaluation.explanation_figures import explanation_figures
from microemo.evaluation.figures import Figure, Matching, Pairs, figures_of
from microemo.evaluation.metrics.calibration import bin_sums, calibration_error_of_sums
from microemo.evaluation.metrics.multi_label import UNKNOWN, Thresholds, label_counts, macro_f1, micro_f1
from microemo.evaluation.metrics.wheel_metrics import clip_wheel_scores, mean_of_rules
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.evaluation.score_table import Family, ReportFamily
from microemo.evaluation.scored_utterances import (
    ScoredUtterance,
    emotion_arrays,
    emotion_names,
    expression_pairs,
    label_pairs,
    scored_utterances,
)
from microemo.evaluation.spotting_figures import spotting_figures

LABEL_NEEDED = {
    "closed-set": "emotion",
    "hit": "emotion",
    "set": "labels",
    "wheel": "labels",
    "wheel-columns": "labels",
}


def report_figures(
    clips: Sequence[EvaluatedClip], *, family: ReportFamily, matching: Matching, thresholds: Thresholds
) -> list[Figure]:
    """Returns the figures of a family; none if references or reports lack the values for it.

    Args:
        matching: how open-vocabulary labels are compared.
        thresholds: probability from which an emotion counts as predicted.
    """
    if family == "spotting":
        return spotting_figures(clips)
    if family == "explanations":
        return explanation_figures(clips)
    parts = scored_utterances(clips)
    if not parts:
        return []
    if family == "emotions":
        return list(_emotion_figures(parts, thresholds=thresholds, clips=len(clips)))
    if family == "leaks":
        return list(_leak_figures(parts, thresholds=thresholds, clips=len(clips)))
    if family == "calibration":
        return list(_calibration_figures(parts, clips=len(clips)))
    if family == "expressions":
        return list(_expression_figures(parts, matching=matching, clips=len(clips)))
    pairs = label_pairs(parts, thresholds=thresholds, names=emotion_names(parts))
    owners = [part.clip for part in parts]
    if family == "open-vocabulary":
        return list(_open_vocabulary_figures(pairs, owners, matching=matching, clips=len(clips)))
    return list(_label_figures(pairs, owners, family=family, matching=matching, clips=len(clips)))


def _emotion_figures(parts: Sequence[ScoredUtterance], *, thresholds: Thresholds, clips: int) -> Iterator[Figure]:
    """F1 over the emotion head's labels that occur in the references."""
    names = emotion_names(parts)
    if not names:
        return
    targets, probabilities = emotion_arrays(parts, names=names)
    if not (targets == 1).any():
        return
    counts = label_counts(targets, probabilities, thresholds=thresholds.of(names))
    by_clip = _sums_by_clip(counts, owners=[part.clip for part in parts], clips=clips)
    present = (targets == 1).any(axis=0)
    yield Figure("Emotions micro F1", clips, lambda chosen: micro_f1(_drawn_sum(by_clip, chosen)))
    yield Figure("Emotions macro F1", clips, lambda chosen: macro_f1(_drawn_sum(by_clip, chosen), labels=present))


def _leak_figures(parts: Sequence[ScoredUtterance], *, thresholds: Thresholds, clips: int) -> Iterator[Figure]:
    """Micro F1 of utterances with a micro-expression that contradicts the label, and of the others."""
    for leaks, name in ((True, "utterances with a leak"), (False, "utterances without a leak")):
        chosen = [part for part in parts if part.leaks is leaks]
        if chosen and any(part.leaks for part in parts):
            for figure in islice(_emotion_figures(chosen, thresholds=thresholds, clips=clips), 1):
                yield replace(figure, name=f"{figure.name}, {name}")


def _calibration_figures(parts: Sequence[ScoredUtterance], *, clips: int) -> Iterator[Figure]:
    """ECE and Brier score of the emotion head's probabilities with a known reference."""
    names = emotion_names(parts)
    if not names:
        return
    targets, probabilities = emotion_arrays(parts, names=names)
    known = targets != UNKNOWN
    if not known.any():
        return
    owners = [part.clip for part in parts]
    rows = zip(probabilities, targets > 0.5, known, strict=True)
    bins = np.stack([bin_sums(predicted[row], true[row]) for predicted, true, row in rows])
    squares = np.where(known, (probabilities - (targets > 0.5)) ** 2, 0.0)
    errors = np.stack([squares.sum(axis=1), known.sum(axis=1)], axis=1)
    bins_of_clip = _sums_by_clip(bins, owners=owners, clips=clips)
    errors_of_clip = _sums_by_clip(errors, owners=owners, clips=clips)

    def brier(chosen: np.ndarray) -> float:
        error, count = _drawn_sum(errors_of_clip, chosen)
        return float(error / count) if count else float("nan")

    yield Figure(
        "Emotions ECE",
        clips,
        lambda chosen: calibration_error_of_sums(_drawn_sum(bins_of_clip, chosen)),
        percent=False,
    )
    yield Figure("Emotions Brier score", clips, brier, percent=False)


def _expression_figures(parts: Sequence[ScoredUtterance], *, matching: Matching, clips: int) -> Iterator[Figure]:
    """Closed-set scores of the face alone, over the utterances with a face."""
    with_face = [
        part for part in parts if part.prediction.expressions is not None and part.targets.closed_label is not None
    ]
    if not with_face:
        return
    for figure in figures_of(expression_pairs(with_face), family="closed-set", matching=matching):
        yield replace(
            _over_clips(figure, [part.clip for part in with_face], clips=clips), name=f"Face alone {figure.name}"
        )


def _open_vocabulary_figures(
    pairs: Pairs, owners: Sequence[int], *, matching: Matching, clips: int
) -> Iterator[Figure]:
    """F_S at the level of wheel families; utterances whose reference labels are not on the wheel are skipped."""
    rows = [row for row, (reference, got) in enumerate(pairs) if reference.labels and got.labels is not None]
    if not rows:
        return
    scores = clip_wheel_scores(
        [pairs[row][0].labels for row in rows],
        [pairs[row][1].labels for row in rows],
        wheels=matching.wheels,
        rules=matching.wheels.wheel_rules(level=1),
    )
    values: dict[str, Callable[[np.ndarray], float]] = {
        "F_S": lambda chosen: mean_of_rules(scores[chosen]).f_score,
        "Precision_S": lambda chosen: mean_of_rules(scores[chosen]).precision,
        "Recall_S": lambda chosen: mean_of_rules(scores[chosen]).recall,
    }
    for name, value in values.items():
        figure = Figure(f"Open-vocabulary {name} (wheel families)", len(rows), value)
        yield _over_clips(figure, [owners[row] for row in rows], clips=clips)


def _label_figures(
    pairs: Pairs, owners: Sequence[int], *, family: Family, matching: Matching, clips: int
) -> Iterator[Figure]:
    """The figures that are also available for label files."""
    for rows, scored in _scored_pairs(pairs, family=family):
        for figure in figures_of(scored, family=family, matching=matching) if scored else ():
            yield _over_clips(figure, [owners[row] for row in rows], clips=clips)


def _scored_pairs(pairs: Pairs, *, family: Family) -> Iterator[tuple[list[int], Pairs]]:
    """Yields the indices and pairs that the family scores. The figures must not skip any of them."""
    if family == "valence-arousal":
        rows = [row for row, (reference, _) in enumerate(pairs) if reference.valence is not None]
        yield rows, [(replace(pairs[row][0], arousal=None), pairs[row][1]) for row in rows]
        rows = [row for row, (reference, _) in enumerate(pairs) if reference.arousal is not None]
        yield rows, [(replace(pairs[row][0], valence=None), pairs[row][1]) for row in rows]
        return
    if family == "sentiment":
        rows = [row for row, (reference, _) in enumerate(pairs) if reference.sentiment]
    else:
        rows = [row for row, (reference, _) in enumerate(pairs) if getattr(reference, LABEL_NEEDED[family])]
    yield rows, [pairs[row] for row in rows]


def _sums_by_clip(values: np.ndarray, *, owners: Sequence[int], clips: int) -> np.ndarray:
    """Returns the sums (clips, ...) of the rows (utterances, ...) of each clip."""
    sums = np.zeros((clips, *values.shape[1:]))
    np.add.at(sums, np.asarray(owners), values)
    return sums


def _drawn_sum(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Returns the sum (...) of the chosen rows (clips, ...), with repetitions."""
    counts = np.bincount(chosen, minlength=len(values)).astype(np.float64)
    return np.tensordot(counts, values, axes=1)


def _over_clips(figure: Figure, owners: Sequence[int], *, clips: int) -> Figure:
    """Converts a figure over utterances to one over clips: a chosen clip contributes all its utterances."""
    if figure.clips != len(owners):
        raise ValueError(f"{figure.name} is over {figure.clips} utterances, but owners has {len(owners)}")
    parts_of: list[list[int]] = [[] for _ in range(clips)]
    for part, clip in enumerate(owners):
        parts_of[clip].append(part)
    rows = [np.array(parts, dtype=np.int64) for parts in parts_of]

    def statistic(chosen: np.ndarray) -> float:
        drawn = np.concatenate([rows[clip] for clip in chosen])
        return figure.statistic(drawn) if len(drawn) else float("nan")

    return replace(figure, clips=clips, statistic=statistic)
