"""Figures of a model's reports against the truth of their examples, each as a function of the clips to draw from.

Utterances are scored and clips are drawn for the intervals, since the utterances of one clip are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from microemo.evaluation.explanation_figures import explanation_figures
from microemo.evaluation.figures import Figure, Matching, Pairs, figures_of
from microemo.evaluation.labelled_parts import (
    LabelledPart,
    emotion_arrays,
    emotion_names,
    expression_pairs,
    label_pairs,
    labelled_parts,
)
from microemo.evaluation.metrics.calibration import bin_sums, calibration_error_of_sums
from microemo.evaluation.metrics.multi_label import UNKNOWN, Thresholds, label_counts, macro_f1, micro_f1
from microemo.evaluation.metrics.wheel_metrics import clip_wheel_scores, mean_of_rules
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.evaluation.score_table import Family, ReportFamily
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
    """The figures of a family; none where the examples' truth or the model's reports lack what it needs.

    Args:
        matching: how open-vocabulary labels are compared.
        thresholds: from which probability on an emotion counts as given.
    """
    if family == "spotting":
        return spotting_figures(clips)
    if family == "explanations":
        return explanation_figures(clips)
    parts = labelled_parts(clips)
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


def _emotion_figures(parts: Sequence[LabelledPart], *, thresholds: Thresholds, clips: int) -> Iterator[Figure]:
    """F1 over the head's labels that the examples say something of."""
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


def _leak_figures(parts: Sequence[LabelledPart], *, thresholds: Thresholds, clips: int) -> Iterator[Figure]:
    """Micro F1 where a micro-expression contradicts what is felt, and where none does."""
    for leaks, name in ((True, "utterances with a leak"), (False, "utterances without a leak")):
        chosen = [part for part in parts if part.leaks is leaks]
        if chosen and any(part.leaks for part in parts):
            for figure in islice(_emotion_figures(chosen, thresholds=thresholds, clips=clips), 1):
                yield replace(figure, name=f"{figure.name}, {name}")


def _calibration_figures(parts: Sequence[LabelledPart], *, clips: int) -> Iterator[Figure]:
    """ECE and Brier score of every probability of the emotion head whose truth is known."""
    names = emotion_names(parts)
    if not names:
        return
    targets, probabilities = emotion_arrays(parts, names=names)
    known = targets != UNKNOWN
    if not known.any():
        return
    owners = [part.clip for part in parts]
    rows = zip(probabilities, targets > 0.5, known, strict=True)
    bins = np.stack([bin_sums(given[row], true[row]) for given, true, row in rows])
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


def _expression_figures(parts: Sequence[LabelledPart], *, matching: Matching, clips: int) -> Iterator[Figure]:
    """Closed-set scores of the face alone, over the utterances that show one."""
    seen = [part for part in parts if part.said.expressions is not None and part.targets.closed_label is not None]
    if not seen:
        return
    for figure in figures_of(expression_pairs(seen), family="closed-set", matching=matching):
        yield replace(_drawn(figure, [part.clip for part in seen], clips=clips), name=f"Face alone {figure.name}")


def _open_vocabulary_figures(
    pairs: Pairs, owners: Sequence[int], *, matching: Matching, clips: int
) -> Iterator[Figure]:
    """F_S at the wheel's families; utterances whose labels the wheel does not know are left out."""
    kept = [row for row, (reference, got) in enumerate(pairs) if reference.labels and got.labels is not None]
    if not kept:
        return
    scores = clip_wheel_scores(
        [pairs[row][0].labels for row in kept],
        [pairs[row][1].labels for row in kept],
        wheels=matching.wheels,
        rules=matching.wheels.wheel_rules(level=1),
    )
    values: dict[str, Callable[[np.ndarray], float]] = {
        "F_S": lambda chosen: mean_of_rules(scores[chosen]).f_score,
        "Precision_S": lambda chosen: mean_of_rules(scores[chosen]).precision,
        "Recall_S": lambda chosen: mean_of_rules(scores[chosen]).recall,
    }
    for name, value in values.items():
        figure = Figure(f"Open-vocabulary {name} (wheel families)", len(kept), value)
        yield _drawn(figure, [owners[row] for row in kept], clips=clips)


def _label_figures(
    pairs: Pairs, owners: Sequence[int], *, family: Family, matching: Matching, clips: int
) -> Iterator[Figure]:
    """The figures that files of labels have as well."""
    for kept, part in _scored_pairs(pairs, family=family):
        for figure in figures_of(part, family=family, matching=matching) if part else ():
            yield _drawn(figure, [owners[row] for row in kept], clips=clips)


def _scored_pairs(pairs: Pairs, *, family: Family) -> Iterator[tuple[list[int], Pairs]]:
    """The pairs that the family scores, all of them, with their places: figures must not leave out more."""
    if family == "valence-arousal":
        kept = [row for row, (reference, _) in enumerate(pairs) if reference.valence is not None]
        yield kept, [(replace(pairs[row][0], arousal=None), pairs[row][1]) for row in kept]
        kept = [row for row, (reference, _) in enumerate(pairs) if reference.arousal is not None]
        yield kept, [(replace(pairs[row][0], valence=None), pairs[row][1]) for row in kept]
        return
    if family == "sentiment":
        kept = [row for row, (reference, _) in enumerate(pairs) if reference.sentiment]
    else:
        kept = [row for row, (reference, _) in enumerate(pairs) if getattr(reference, LABEL_NEEDED[family])]
    yield kept, [pairs[row] for row in kept]


def _sums_by_clip(values: np.ndarray, *, owners: Sequence[int], clips: int) -> np.ndarray:
    """(clips, ...) sums of the rows (parts, ...) that belong to each clip."""
    sums = np.zeros((clips, *values.shape[1:]))
    np.add.at(sums, np.asarray(owners), values)
    return sums


def _drawn_sum(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The sum (...) of the rows (clips, ...) that were drawn, some of them several times."""
    times = np.bincount(chosen, minlength=len(values)).astype(np.float64)
    return np.tensordot(times, values, axes=1)


def _drawn(figure: Figure, owners: Sequence[int], *, clips: int) -> Figure:
    """A figure over parts as one over the clips that own them: a clip that is drawn brings all its parts."""
    if figure.clips != len(owners):
        raise ValueError(f"{figure.name} is over {figure.clips} parts, but {len(owners)} have an owner")
    parts_of: list[list[int]] = [[] for _ in range(clips)]
    for part, clip in enumerate(owners):
        parts_of[clip].append(part)
    rows = [np.array(parts, dtype=np.int64) for parts in parts_of]

    def statistic(chosen: np.ndarray) -> float:
        drawn = np.concatenate([rows[clip] for clip in chosen])
        return figure.statistic(drawn) if len(drawn) else float("nan")

    return replace(figure, clips=clips, statistic=statistic)
