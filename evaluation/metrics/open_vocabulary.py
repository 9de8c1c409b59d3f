"""Set-level scores of open-vocabulary emotion recognition, as in EMER and the MER2024 challenge (track MER-OV).

Each clip has a set Y of reference labels and a set P of predicted labels. A grouping first maps synonyms to one word.

    Accuracy_S = mean |Y & P| / |P|      Recall_S = mean |Y & P| / |Y|      Avg = (Accuracy_S + Recall_S) / 2

The "GPT" column of OV-MER is the harmonic mean of these two means, here `f_score`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Literal

import numpy as np

from microemo.evaluation.metrics.label_parsing import LabelCell, group_mapping, parse_label_groups, parse_labels

# Maps the sorted distinct lower-case words of one clip to their representatives. Words without an entry represent
# themselves.
Grouping = Callable[[Sequence[str]], Mapping[str, str]]
EmptyReference = Literal["zero", "skip"]


@dataclass(frozen=True)
class SetScores:
    """Means over clips, from 0 to 1. clips: number of clips in the means."""

    accuracy: float
    recall: float
    clips: int

    @property
    def average(self) -> float:
        return (self.accuracy + self.recall) / 2

    @property
    def f_score(self) -> float:
        return harmonic_mean(self.accuracy, self.recall)


def harmonic_mean(first: float, second: float) -> float:
    """Returns 2ab / (a + b), and 0 if both are 0."""
    return 2 * first * second / (first + second) if first + second > 0 else 0.0


def overlap(reference: set[str], prediction: set[str]) -> tuple[float, float]:
    """Returns (|Y & P| / |P|, |Y & P| / |Y|) of one clip; (0, 0) if either set is empty."""
    if not reference or not prediction:
        return 0.0, 0.0
    shared = len(reference & prediction)
    return shared / len(prediction), shared / len(reference)


def check_pairs(references: Sized, predictions: Sized) -> None:
    """Raises `ValueError` unless the lists are of equal, nonzero length."""
    if len(references) != len(predictions):
        raise ValueError(f"references ({len(references)}) and predictions ({len(predictions)}) must be of one length")
    if len(references) == 0:
        raise ValueError("references (0) must hold at least one clip")


def exact_grouping(words: Sequence[str]) -> Mapping[str, str]:
    """Groups nothing: labels match only if they are equal."""
    return {}


def clip_set_scores(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    grouping: Grouping = exact_grouping,
    empty_reference: EmptyReference = "zero",
) -> np.ndarray:
    """Returns accuracy and recall of every clip, (clips, 2) float64; NaN if the clip is skipped.

    Args:
        references: one cell of labels per clip (see `parse_labels`).
        predictions: the same, in the same order.
        grouping: maps synonyms to one word, called once per clip.
        empty_reference: whether a clip without reference labels counts as 0 or is skipped. (The script of the
            challenge divides by zero.) A clip without predictions always counts as 0.
    """
    check_pairs(references, predictions)
    lowered = [
        (_lower(reference), _lower(prediction)) for reference, prediction in zip(references, predictions, strict=True)
    ]
    mappings = [grouping(sorted(reference | prediction)) for reference, prediction in lowered]
    return _clip_scores(lowered, mappings, empty_reference=empty_reference)


def clip_set_scores_of_groups(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    groups: Sequence[str | Iterable[Iterable[str]]],
    empty_reference: EmptyReference = "zero",
) -> np.ndarray:
    """As `clip_set_scores`, but with given groups: one list of groups (or its text) per clip.

    This reproduces figures from stored answers of a language model, such as MER2024's `openset-synonym`.
    """
    check_pairs(references, predictions)
    if len(groups) != len(references):
        raise ValueError(f"groups ({len(groups)}) and references ({len(references)}) must be of one length")
    lowered = [
        (_lower(reference), _lower(prediction)) for reference, prediction in zip(references, predictions, strict=True)
    ]
    parsed = [parse_label_groups(item) if isinstance(item, str) else item for item in groups]
    return _clip_scores(lowered, [group_mapping(item) for item in parsed], empty_reference=empty_reference)


def set_scores(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    grouping: Grouping = exact_grouping,
    empty_reference: EmptyReference = "zero",
) -> SetScores:
    """Returns Accuracy_S and Recall_S under a grouping; arguments as in `clip_set_scores`."""
    return mean_of_clips(clip_set_scores(references, predictions, grouping=grouping, empty_reference=empty_reference))


def set_scores_of_groups(
    references: Sequence[LabelCell],
    predictions: Sequence[LabelCell],
    *,
    groups: Sequence[str | Iterable[Iterable[str]]],
    empty_reference: EmptyReference = "zero",
) -> SetScores:
    """Returns Accuracy_S and Recall_S under stored groups; arguments as in `clip_set_scores_of_groups`."""
    return mean_of_clips(
        clip_set_scores_of_groups(references, predictions, groups=groups, empty_reference=empty_reference)
    )


def mean_of_clips(clip_scores: np.ndarray) -> SetScores:
    """Returns the means of (clips, 2) scores over the clips that are not NaN; 0 if there are none."""
    scored = clip_scores[~np.isnan(clip_scores[:, 0])]
    if len(scored) == 0:
        return SetScores(accuracy=0.0, recall=0.0, clips=0)
    return SetScores(accuracy=float(scored[:, 0].mean()), recall=float(scored[:, 1].mean()), clips=len(scored))


def _lower(cell: LabelCell) -> set[str]:
    return {label.lower() for label in parse_labels(cell)}


def _clip_scores(
    clips: Sequence[tuple[set[str], set[str]]],
    mappings: Sequence[Mapping[str, str]],
    *,
    empty_reference: EmptyReference,
) -> np.ndarray:
    if empty_reference not in ("zero", "skip"):
        raise ValueError(f"empty_reference ({empty_reference!r}) must be 'zero' or 'skip'")
    scores = np.empty((len(clips), 2))
    for row, ((reference, prediction), mapping) in enumerate(zip(clips, mappings, strict=True)):
        if not reference and empty_reference == "skip":
            scores[row] = np.nan
            continue
        mapped = [{mapping.get(word, word) for word in words} for words in (reference, prediction)]
        scores[row] = overlap(mapped[0], mapped[1])
    return scores
