"""Splits evaluated clips into scored utterances: the targets of an utterance and the report's prediction for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from microemo.data.emotion_targets import emotion_labels, emotion_of_word
from microemo.data.example import EmotionTargets, FaceEvent
from microemo.evaluation.clip_labels import ClipLabels
from microemo.evaluation.metrics.multi_label import Thresholds
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.inference.report.report import ClipSummary, LabelScore, UtteranceReport


@dataclass(frozen=True)
class ScoredUtterance:
    """One utterance, or a clip that is labelled as a whole.

    clip: index of the clip. leaks: whether a micro-expression shows another emotion than the label; None if unknown.
    """

    clip: int
    name: str
    targets: EmotionTargets
    prediction: UtteranceReport | ClipSummary
    leaks: bool | None


def scored_utterances(clips: Sequence[EvaluatedClip]) -> tuple[ScoredUtterance, ...]:
    """Returns every utterance with targets, or the whole clip if its utterances have none."""
    return tuple(part for index, clip in enumerate(clips) for part in _parts_of(clip, index=index))


def _parts_of(clip: EvaluatedClip, *, index: int) -> Iterator[ScoredUtterance]:
    unknown, name = EmotionTargets(), clip.example.example_id
    if all(targets == unknown for targets in clip.targets):
        if clip.example.targets != unknown:
            yield ScoredUtterance(index, name, clip.example.targets, clip.report.summary, None)
        return
    for number, (targets, prediction) in enumerate(zip(clip.targets, clip.report.utterances, strict=True), start=1):
        if targets != unknown:
            leaks = _leaks(clip, targets=targets, prediction=prediction)
            yield ScoredUtterance(index, f"{name} [{number}]", targets, prediction, leaks)


def _leaks(clip: EvaluatedClip, *, targets: EmotionTargets, prediction: UtteranceReport) -> bool | None:
    if clip.example.timeline is None or targets.closed_label is None:
        return None
    return any(
        event.emotion != targets.closed_label
        for event in clip.example.timeline.events
        if event.kind == "micro" and prediction.start_seconds <= event.apex_seconds < prediction.end_seconds
    )


def true_events(clip: EvaluatedClip, *, kind: str | None = None) -> tuple[FaceEvent, ...]:
    """Returns the reference events of the face, of one kind or of all."""
    timeline = clip.example.timeline
    return () if timeline is None else tuple(event for event in timeline.events if kind in (None, event.kind))


def emotion_names(parts: Sequence[ScoredUtterance]) -> tuple[str, ...]:
    """Returns the emotion head's labels in alphabetical order; () if the head is not trained."""
    return tuple(sorted({score.label for part in parts for score in part.prediction.emotions or ()}))


def emotion_arrays(parts: Sequence[ScoredUtterance], *, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns targets (U, E), 1, 0 or unknown, and probabilities (U, E) of the emotion head's labels `names`."""
    targets = np.array([emotion_labels(part.targets, names=names) for part in parts], dtype=np.float64)
    probabilities = np.array(
        [_probabilities(part.prediction.emotions, names=names) for part in parts], dtype=np.float64
    )
    return targets, probabilities


def _probabilities(scores: Sequence[LabelScore] | None, *, names: Sequence[str]) -> list[float]:
    of_label = {score.label: score.probability for score in scores or ()}
    return [of_label[name] for name in names]


def label_pairs(
    parts: Sequence[ScoredUtterance], *, thresholds: Thresholds, names: Sequence[str]
) -> list[tuple[ClipLabels, ClipLabels]]:
    """Returns reference and prediction of every utterance, for the metrics of prediction files."""
    classes = closed_classes(parts)
    head_labels = {name: emotion_of_word(name, names=names) for name in classes}
    return [(_reference(part), _prediction(part, head_labels=head_labels, thresholds=thresholds)) for part in parts]


def closed_classes(parts: Sequence[ScoredUtterance]) -> tuple[str, ...]:
    """Returns the closed-set classes that occur as labels."""
    return tuple(sorted({part.targets.closed_label for part in parts if part.targets.closed_label is not None}))


def expression_pairs(parts: Sequence[ScoredUtterance]) -> list[tuple[ClipLabels, ClipLabels]]:
    """Returns the closed-set label and the strongest expression of every utterance with a face."""
    classes = set(closed_classes(parts))
    return [
        (_reference(part), ClipLabels(part.name, emotion=_strongest(part.prediction.expressions, among=classes)))
        for part in parts
        if part.prediction.expressions is not None
    ]


def _reference(part: ScoredUtterance) -> ClipLabels:
    targets = part.targets
    return ClipLabels(
        name=part.name,
        labels=targets.open_labels or None,
        emotion=targets.closed_label,
        sentiment=None if targets.valence is None else float(targets.valence),
        valence=targets.valence,
        arousal=targets.arousal,
    )


def _prediction(part: ScoredUtterance, *, head_labels: dict[str, str | None], thresholds: Thresholds) -> ClipLabels:
    prediction = part.prediction
    of_label = {score.label: score.probability for score in prediction.emotions or ()}
    known = {name: of_label[label] for name, label in head_labels.items() if label in of_label}
    return ClipLabels(
        name=part.name,
        labels=open_labels(prediction, thresholds=thresholds),
        emotion=max(known, key=lambda name: known[name]) if known else None,
        sentiment=prediction.valence,
        valence=prediction.valence,
        arousal=prediction.arousal,
    )


def open_labels(prediction: UtteranceReport | ClipSummary, *, thresholds: Thresholds) -> tuple[str, ...] | None:
    """Returns the labels of the explanation or, without one, the emotion head's labels above their thresholds.

    At least the strongest label of the head is returned. An explanation that cannot be parsed has no labels. None if
    neither is trained.
    """
    if prediction.raw_answer is not None:
        return prediction.open_emotions or ()
    if prediction.emotions is None:
        return None
    limits = thresholds.of([score.label for score in prediction.emotions]).tolist()
    labels = tuple(
        score.label for score, limit in zip(prediction.emotions, limits, strict=True) if score.probability >= limit
    )
    return labels or tuple(score.label for score in prediction.emotions[:1])


def _strongest(scores: Sequence[LabelScore] | None, *, among: set[str]) -> str | None:
    """Returns the first label of the sorted scores that is one of the classes."""
    return next((score.label for score in scores or () if score.label in among), None)
