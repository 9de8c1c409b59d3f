"""Evaluated clips taken apart into what is scored: an utterance with its targets, and what the report says of it."""

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
class LabelledPart:
    """One utterance, or a clip whose labels are of the whole, and its place among the clips.

    leaks: whether a micro-expression in it shows another emotion than the one that is felt; None where that is not
    known.
    """

    clip: int
    name: str
    targets: EmotionTargets
    said: UtteranceReport | ClipSummary
    leaks: bool | None


def labelled_parts(clips: Sequence[EvaluatedClip]) -> tuple[LabelledPart, ...]:
    """Every utterance that has targets; the whole clip where its utterances have none."""
    return tuple(part for number, clip in enumerate(clips) for part in _parts_of(clip, number=number))


def _parts_of(clip: EvaluatedClip, *, number: int) -> Iterator[LabelledPart]:
    unknown, name = EmotionTargets(), clip.example.example_id
    if all(targets == unknown for targets in clip.targets):
        if clip.example.targets != unknown:
            yield LabelledPart(number, name, clip.example.targets, clip.report.summary, None)
        return
    for place, (targets, said) in enumerate(zip(clip.targets, clip.report.utterances, strict=True)):
        if targets != unknown:
            leaks = _leaks(clip, targets=targets, said=said)
            yield LabelledPart(number, f"{name} [{place + 1}]", targets, said, leaks)


def _leaks(clip: EvaluatedClip, *, targets: EmotionTargets, said: UtteranceReport) -> bool | None:
    if clip.example.timeline is None or targets.closed_label is None:
        return None
    return any(
        event.emotion != targets.closed_label
        for event in clip.example.timeline.events
        if event.kind == "micro" and said.start_seconds <= event.apex_seconds < said.end_seconds
    )


def true_events(clip: EvaluatedClip, *, kind: str | None = None) -> tuple[FaceEvent, ...]:
    """The events of the truth, of one kind or of all."""
    timeline = clip.example.timeline
    return () if timeline is None else tuple(event for event in timeline.events if kind in (None, event.kind))


def emotion_names(parts: Sequence[LabelledPart]) -> tuple[str, ...]:
    """The emotion head's labels, in alphabetical order; () where the head is not trained."""
    return tuple(sorted({score.label for part in parts for score in part.said.emotions or ()}))


def emotion_arrays(parts: Sequence[LabelledPart], *, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Targets (U, E), 1, 0 or unknown, and probabilities (U, E) of the emotion head's labels `names`."""
    targets = np.array([emotion_labels(part.targets, names=names) for part in parts], dtype=np.float64)
    probabilities = np.array([_probabilities(part.said.emotions, names=names) for part in parts], dtype=np.float64)
    return targets, probabilities


def _probabilities(scores: Sequence[LabelScore] | None, *, names: Sequence[str]) -> list[float]:
    of_label = {score.label: score.probability for score in scores or ()}
    return [of_label[name] for name in names]


def label_pairs(
    parts: Sequence[LabelledPart], *, thresholds: Thresholds, names: Sequence[str]
) -> list[tuple[ClipLabels, ClipLabels]]:
    """Reference and prediction of every part, as the metrics of prediction files take them."""
    classes = closed_classes(parts)
    heads = {name: emotion_of_word(name, names=names) for name in classes}
    return [(_reference(part), _prediction(part, heads=heads, thresholds=thresholds)) for part in parts]


def closed_classes(parts: Sequence[LabelledPart]) -> tuple[str, ...]:
    """The data set's closed classes: those that a part is labelled with."""
    return tuple(sorted({part.targets.closed_label for part in parts if part.targets.closed_label is not None}))


def expression_pairs(parts: Sequence[LabelledPart]) -> list[tuple[ClipLabels, ClipLabels]]:
    """The same for the face alone: the closed label and the strongest expression of parts that show a face."""
    classes = set(closed_classes(parts))
    return [
        (_reference(part), ClipLabels(part.name, emotion=_strongest(part.said.expressions, among=classes)))
        for part in parts
        if part.said.expressions is not None
    ]


def _reference(part: LabelledPart) -> ClipLabels:
    targets = part.targets
    return ClipLabels(
        name=part.name,
        labels=targets.open_labels or None,
        emotion=targets.closed_label,
        sentiment=None if targets.valence is None else float(targets.valence),
        valence=targets.valence,
        arousal=targets.arousal,
    )


def _prediction(part: LabelledPart, *, heads: dict[str, str | None], thresholds: Thresholds) -> ClipLabels:
    said = part.said
    of_label = {score.label: score.probability for score in said.emotions or ()}
    known = {name: of_label[head] for name, head in heads.items() if head in of_label}
    return ClipLabels(
        name=part.name,
        labels=open_labels(said, thresholds=thresholds),
        emotion=max(known, key=lambda name: known[name]) if known else None,
        sentiment=said.valence,
        valence=said.valence,
        arousal=said.arousal,
    )


def open_labels(said: UtteranceReport | ClipSummary, *, thresholds: Thresholds) -> tuple[str, ...] | None:
    """The words of the explanation; without one, the head's labels from their thresholds on, the strongest at least.

    An explanation that cannot be read names nothing. None where neither is trained.
    """
    if said.raw_answer is not None:
        return said.open_emotions or ()
    if said.emotions is None:
        return None
    limits = thresholds.of([score.label for score in said.emotions]).tolist()
    given = [score.label for score, limit in zip(said.emotions, limits, strict=True) if score.probability >= limit]
    return tuple(given) or tuple(score.label for score in said.emotions[:1])


def _strongest(scores: Sequence[LabelScore] | None, *, among: set[str]) -> str | None:
    """The first of scores that are in order, of the classes that the data set has."""
    return next((score.label for score in scores or () if score.label in among), None)
