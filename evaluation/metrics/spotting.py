"""Scores of micro-expression spotting, and of spotting followed by recognition, as in the MEGC challenges.

A predicted interval is correct if it matches a true interval of its video one-to-one with IoU >= 0.5.

    STRS = F1 of spotting x F1 of recognition on the correctly spotted intervals      (Liong, See and Chan, 2023)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from microemo.evaluation.metrics.open_vocabulary import check_pairs, harmonic_mean


@dataclass(frozen=True)
class ExpressionInterval:
    """One expression of a video in seconds, or in frames (then pass `frame=1` to the scores)."""

    onset: float
    offset: float
    apex: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.onset <= self.offset:
            raise ValueError(f"offset ({self.offset}) must not lie before onset ({self.onset})")


@dataclass(frozen=True)
class Match:
    """A predicted interval and the true interval it matches."""

    reference: ExpressionInterval
    prediction: ExpressionInterval
    iou: float


@dataclass(frozen=True)
class SpottingScores:
    """Counts over all videos, F1 from 0 to 1, and mean absolute errors over the matches in ms.

    The errors require intervals in seconds. An error is None without matches or without known apexes.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    onset_error_ms: float | None
    apex_error_ms: float | None
    offset_error_ms: float | None

    @property
    def precision(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        return harmonic_mean(self.precision, self.recall)


@dataclass(frozen=True)
class RecognitionScores:
    """Scores on the correctly spotted intervals, from 0 to 1.

    Args:
        precision: mean over classes.
        recall: mean over classes (UAR).
        f1: harmonic mean of these two means, as in MEGC.
        uf1: mean of the classes' F1.
    """

    precision: float
    recall: float
    f1: float
    uf1: float


@dataclass(frozen=True)
class SpotThenRecogniseScores:
    spotting: SpottingScores
    recognition: RecognitionScores

    @property
    def strs(self) -> float:
        return self.spotting.f1 * self.recognition.f1


def interval_iou(first: ExpressionInterval, second: ExpressionInterval, *, frame: float = 0.0) -> float:
    """Returns intersection over union of two intervals.

        0  1  2  3  4        first [0, 2], second [1, 4]: seconds (frame=0)  1 / 4
        [-----]                                           frames  (frame=1)  2 / 5
           [--------]

    Two intervals of zero length (frame=0) have an IoU of 1 if they are at the same time, else 0.

    Args:
        frame: duration of one frame; 1 for intervals in frames, as MEGC counts frames including the offset frame.
    """
    shared = max(0.0, min(first.offset, second.offset) + frame - max(first.onset, second.onset))
    union = (first.offset - first.onset + frame) + (second.offset - second.onset + frame) - shared
    return shared / union if union > 0 else float(first.onset == second.onset)


def match_intervals(
    references: Sequence[ExpressionInterval],
    predictions: Sequence[ExpressionInterval],
    *,
    iou_threshold: float = 0.5,
    frame: float = 0.0,
) -> list[Match]:
    """Returns the one-to-one matches of one video with an IoU of at least the threshold.

    The number of matches is maximal and, among maximal sets, the sum of IoU is greatest. The result does not depend on
    the order of the intervals.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold ({iou_threshold}) must be above 0 and at most 1")
    if not references or not predictions:
        return []
    ious = np.array([[interval_iou(ref, got, frame=frame) for got in predictions] for ref in references])
    # The weight of a match exceeds any gain in IoU of the other matches.
    worth = np.where(ious >= iou_threshold, min(ious.shape) + ious, 0.0)
    pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [Match(references[i], predictions[j], float(ious[i, j])) for i, j in pairs if worth[i, j] > 0]


def spotting_scores(
    references: Sequence[Sequence[ExpressionInterval]],
    predictions: Sequence[Sequence[ExpressionInterval]],
    *,
    iou_threshold: float = 0.5,
    frame: float = 0.0,
) -> SpottingScores:
    """Returns the scores over videos.

    Args:
        references: the true intervals of each video.
        predictions: the predicted intervals of each video, in the same order.
        iou_threshold: minimum IoU of a match.
        frame: see `interval_iou`.
    """
    matches = _match_videos(references, predictions, iou_threshold=iou_threshold, frame=frame)
    return _spotting_scores(references, predictions, matches=matches)


def spot_then_recognise_scores(
    references: Sequence[Sequence[ExpressionInterval]],
    predictions: Sequence[Sequence[ExpressionInterval]],
    *,
    classes: Sequence[str] | None = None,
    iou_threshold: float = 0.5,
    frame: float = 0.0,
) -> SpotThenRecogniseScores:
    """Returns the scores of spotting, of recognition on the correctly spotted intervals, and STRS.

    Args:
        references, predictions, iou_threshold, frame: as in `spotting_scores`, with labels.
        classes: classes to average recognition over; by default all labels of the references, as in MEGC. A class that
            was never spotted counts as 0; matches of other classes are ignored in recognition.
    """
    matches = _match_videos(references, predictions, iou_threshold=iou_threshold, frame=frame)
    unlabelled = sum(item.label is None for side in (references, predictions) for video in side for item in video)
    if unlabelled:
        raise ValueError(f"label of {unlabelled} intervals is None; recognition needs one for each")
    names = sorted({str(item.label) for video in references for item in video} if classes is None else set(classes))
    return SpotThenRecogniseScores(
        spotting=_spotting_scores(references, predictions, matches=matches),
        recognition=recognition_scores(matches, classes=names),
    )


def _match_videos(
    references: Sequence[Sequence[ExpressionInterval]],
    predictions: Sequence[Sequence[ExpressionInterval]],
    *,
    iou_threshold: float,
    frame: float,
) -> list[Match]:
    check_pairs(references, predictions)
    return [
        match
        for reference, prediction in zip(references, predictions, strict=True)
        for match in match_intervals(reference, prediction, iou_threshold=iou_threshold, frame=frame)
    ]


def _spotting_scores(
    references: Sequence[Sequence[ExpressionInterval]],
    predictions: Sequence[Sequence[ExpressionInterval]],
    *,
    matches: Sequence[Match],
) -> SpottingScores:
    return SpottingScores(
        true_positives=len(matches),
        false_positives=sum(map(len, predictions)) - len(matches),
        false_negatives=sum(map(len, references)) - len(matches),
        onset_error_ms=_mean_error_ms([(match.reference.onset, match.prediction.onset) for match in matches]),
        apex_error_ms=_mean_error_ms([(match.reference.apex, match.prediction.apex) for match in matches]),
        offset_error_ms=_mean_error_ms([(match.reference.offset, match.prediction.offset) for match in matches]),
    )


def recognition_scores(matches: Sequence[Match], *, classes: Sequence[str]) -> RecognitionScores:
    """Returns the scores of the labels of matches; see `spot_then_recognise_scores` for the classes."""
    counted = [match for match in matches if match.reference.label in classes]
    precisions, recalls = [], []
    for name in classes:
        right = sum(match.reference.label == match.prediction.label == name for match in counted)
        precisions.append(_ratio(right, sum(match.prediction.label == name for match in counted)))
        recalls.append(_ratio(right, sum(match.reference.label == name for match in counted)))
    precision, recall = (float(np.mean(values)) if values else 0.0 for values in (precisions, recalls))
    f1_of_classes = [harmonic_mean(p, r) for p, r in zip(precisions, recalls, strict=True)]
    return RecognitionScores(
        precision=precision,
        recall=recall,
        f1=harmonic_mean(precision, recall),
        uf1=float(np.mean(f1_of_classes)) if f1_of_classes else 0.0,
    )


def _mean_error_ms(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Returns the mean absolute difference in ms of pairs in seconds; pairs with a None are skipped."""
    errors = [abs(got - ref) for ref, got in pairs if ref is not None and got is not None]
    return 1000 * float(np.mean(errors)) if errors else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
