"""Figures of generated explanations: whether they keep their form, and whether what they say of the face is true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from microemo.evaluation.explanation_checks import describes_face, is_near_event, named_moments
from microemo.evaluation.figures import Figure
from microemo.evaluation.labelled_parts import true_events
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.inference.report import ClipSummary, UtteranceReport


def explanation_figures(clips: Sequence[EvaluatedClip]) -> list[Figure]:
    """Shares over answers, clips or named moments; none where no explanation was generated.

    - Answers parse: of all answers, those about clips and those about utterances.
    - An event is named: of the clips with a face event in their truth, those with a text that names a moment near it.
    - Named moments are true: of all moments that the texts of clips with a timeline name.
    - A face is made up: of the clips in which no face was seen, those with a text that describes one.
    """
    if not any(_answers(clip) for clip in clips):
        return []
    parsed = np.array([_parsed(clip) for clip in clips])
    named = np.array([_named_event(clip) for clip in clips])
    moments = np.array([_true_moments(clip) for clip in clips])
    invented = np.array([_invented_face(clip) for clip in clips])
    shares = {
        "Answers that parse": parsed,
        "Clips with an event named within 0.25 s": named,
        "Named moments within 0.25 s of an event": moments,
        "Clips without a face whose text has one": invented,
    }
    return [_share(name, counts) for name, counts in shares.items() if counts[:, 1].any()]


def _answers(clip: EvaluatedClip) -> tuple[ClipSummary | UtteranceReport, ...]:
    parts: tuple[ClipSummary | UtteranceReport, ...] = (clip.report.summary, *clip.report.utterances)
    return tuple(part for part in parts if part.raw_answer is not None)


def _share(name: str, counts: np.ndarray) -> Figure:
    """counts (clips, 2): how many it is true of, of how many."""

    def statistic(chosen: np.ndarray) -> float:
        part, whole = counts[chosen].sum(axis=0)
        return float(part / whole) if whole else float("nan")

    return Figure(name, len(counts), statistic)


def _parsed(clip: EvaluatedClip) -> tuple[int, int]:
    answers = _answers(clip)
    return sum(answer.open_emotions is not None for answer in answers), len(answers)


def _named_event(clip: EvaluatedClip) -> tuple[int, int]:
    has_event = bool(true_events(clip))
    return int(has_event and any(_moments_found(clip))), int(has_event)


def _true_moments(clip: EvaluatedClip) -> tuple[int, int]:
    found = list(_moments_found(clip)) if clip.example.timeline is not None else []
    return sum(found), len(found)


def _moments_found(clip: EvaluatedClip) -> Iterator[bool]:
    """For each moment that the clip's texts name, whether a true event is near."""
    events = [(event.onset_seconds, event.apex_seconds) for event in true_events(clip)]
    for answer in _answers(clip):
        for moment in named_moments(answer.description or ""):
            yield is_near_event(moment, events=events)


def _invented_face(clip: EvaluatedClip) -> tuple[int, int]:
    has_face = any(modality.name == "faces" and modality.used for modality in clip.report.modalities)
    if has_face or not _answers(clip):
        return 0, 0
    return int(any(describes_face(answer.raw_answer or "") for answer in _answers(clip))), 1
