"""Scores of micro-expression spotting, and of spotting followed by recognition, as in the MEGC challenges.

A predicted interval is right when it overlaps a true one of its video with IoU >= 0.5, each counted once.

    STRS = F1 of spotting x F1 of recognition on the rightly spotted intervals      (Liong, See and Chan, 2023)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from microemo.evaluation.metrics.open_vocabulary import check_pairs, harmonic_mean


@dataclass(frozen=True)
class ExpressionInterval:
    """One expression of one video, in seconds (or frames, throughout: then pass `frame=1` to the scores)."""

    onset: float
    offset: float
    apex: float | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if not self.onset <= self.offset:
            raise ValueError(f"offset ({self.offset}) must not lie before onset ({self.onset})")


@dataclass(frozen=True)
class Match:
    """A predicted interval and the true one it found."""

    reference: ExpressionInterval
    prediction: ExpressionInterval
    iou: float


@dataclass(frozen=True)
class SpottingScores:
    """Counts over all videos, F1 from 0 to 1, and mean absolute errors over the matches in ms.

    The errors hold where intervals are in seconds. An error is None where there is no match, or no apex is known.
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
    """Of the rightly spotted intervals, each from 0 to 1.

    Args:
        precision: mean over classes.
        recall: mean over classes (UAR).
        f1: harmonic mean of those two means, MEGC's figure.
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

    Events of no length (seconds, frame=0) overlap wholly where they are the same moment: 1, else 0.

    Args:
        frame: duration of one frame. MEGC counts frames, the offset frame included: 1 where intervals are in frames.
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
    """Returns the one-to-one matches of one video with IoU at or above the threshold.

    There is no larger set of matches, and among the largest sets this one has the greatest sum of IoU, so that the
    order of the intervals does not matter.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold ({iou_threshold}) must be above 0 and at most 1")
    if not references or not predictions:
        return []
    ious = np.array([[interval_iou(ref, got, frame=frame) for got in predictions] for ref in references])
    # A match is worth more than all the IoU that the others could gain by giving it up.
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
        predictions: the predicted ones, videos in the same order.
        iou_threshold: least IoU of a match.
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
    """Returns the scores of spotting, of recognition on what was rightly spotted, and STRS.

    Args:
        references, predictions, iou_threshold, frame: as in `spotting_scores`, with labels.
        classes: those that recognition is averaged over; by default all labels of the references, as in MEGC. A class
            that was never spotted counts 0; matches of other classes are left out of recognition.
    """
    matches = _match_videos(references, predictions, iou_threshold=iou_threshold, frame=frame)
    unlabelled = sum(item.label is None for side in (references, predictions) for video in side for item in video)
    if unlabelled:
        raise ValueError(f"label of {unlabelled} intervals is None; recognition needs one for each")
    wanted = sorted({str(item.label) for video in references for item in video} if classes is None else set(classes))
    return SpotThenRecogniseScores(
        spotting=_spotting_scores(references, predictions, matches=matches),
        recognition=recognition_scores(matches, classes=wanted),
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
    """Returns the mean absolute difference in ms of pairs in seconds; pairs with an unknown side are left out."""
    errors = [abs(got - ref) for ref, got in pairs if ref is not None and got is not None]
    return 1000 * float(np.mean(errors)) if errors else None


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
