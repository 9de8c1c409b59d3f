"""Evidence: typed findings of perception for each utterance.

    Perception (probabilities of face, voice and words) --pure functions--> Evidence --evidence_text--> English text

Report, prompt, training targets and the check of explanations use these findings only. Their number is bounded; the
strongest findings of each stream are kept.

Times are seconds on the video's clock; spans are half open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .clip import Clip, prompt_words
from .facial_actions import FACIAL_ACTIONS, relative_to_rest, unit_intensities
from .facial_events import (
    BLIND_SECONDS,
    FaceScores,
    FaceTimeline,
    FacialEvent,
    attended,
    detect_events,
    mean_expressions,
    rows_between,
)
from .prosody import Prosody

EvidenceKind = Literal["face", "micro_expression", "voice", "words", "scene"]
KINDS: tuple[EvidenceKind, ...] = ("face", "micro_expression", "voice", "words", "scene")
NEUTRAL = "neutral"
NO_FACE = "no face"

MAX_FINDINGS = 2  # of one kind per utterance
MIN_PROBABILITY = 0.25  # of the second label
MIN_WORDS_PROBABILITY = 0.2  # lower: with many labels each has a low probability
MIN_UNIT_INTENSITY = 0.12  # above the face's rest
MIN_UNIT_PROBABILITY = 0.5
MAX_SIGNS = 3

# Action units of each expression (EMFACS, Friesen & Ekman 1983). Others are ignored: speech moves the mouth as well.
SIGNS_OF_EXPRESSION: Mapping[str, tuple[int, ...]] = {
    "happiness": (12, 6, 7, 10, 25),
    "surprise": (1, 2, 5, 26),
    "sadness": (1, 4, 15, 17),
    "anger": (4, 5, 7, 10, 17, 23, 24),
    "disgust": (9, 10, 4, 17, 15),
    "fear": (1, 2, 4, 5, 20),
    "contempt": (14, 12, 24),
}


@dataclass(frozen=True)
class Evidence:
    """One finding.

    kind: the stream it comes from; "scene" describes the image.
    label: the expression or emotion; for a scene its description ("no face").
    certainty: probability of the label, None for plain facts.
    start_seconds, end_seconds: onset and offset if known, else those of the utterance.
    apex_seconds: of a micro-expression.
    signs: what the label is based on: action units ("AU12") or prosody ("loud").
    pitch_semitones: relative to the speaker's own median.
    """

    kind: EvidenceKind
    label: str
    start_seconds: float
    end_seconds: float
    certainty: float | None = None
    apex_seconds: float | None = None
    signs: tuple[str, ...] = ()
    pitch_semitones: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.start_seconds <= self.end_seconds:
            raise ValueError(f"start_seconds ({self.start_seconds}) must be <= end_seconds ({self.end_seconds})")
        if self.certainty is not None and not 0 <= self.certainty <= 1:
            raise ValueError(f"certainty must be in [0, 1], got {self.certainty}")

    def shifted(self, seconds: float) -> "Evidence":
        """The same finding, `seconds` later."""
        apex = None if self.apex_seconds is None else self.apex_seconds + seconds
        start, end = self.start_seconds + seconds, self.end_seconds + seconds
        return replace(self, start_seconds=start, end_seconds=end, apex_seconds=apex)


@dataclass(frozen=True)
class Perception:
    """Per-stream outputs for one clip: probabilities, None if a stream is missing or untrained.

    expressions (F, X), micro (F,), motion (F, X), action_units (F, A): of the clip's face crops, see `FaceScores`.
    voice: (U, V) of each utterance, NaN where silent. words: (U, E), several may be true at once.
    expression_labels, action_unit_labels, voice_labels, word_labels: names of the columns.
    """

    expressions: np.ndarray | None = None
    micro: np.ndarray | None = None
    motion: np.ndarray | None = None
    action_units: np.ndarray | None = None
    voice: np.ndarray | None = None
    words: np.ndarray | None = None
    expression_labels: tuple[str, ...] = ()
    action_unit_labels: tuple[str, ...] = ()
    voice_labels: tuple[str, ...] = ()
    word_labels: tuple[str, ...] = ()

    @property
    def neutral(self) -> int | None:
        """Index of the neutral expression; None if there is none."""
        return self.expression_labels.index(NEUTRAL) if NEUTRAL in self.expression_labels else None


def face_scores(perception: Perception, clip: Clip) -> tuple[FaceScores, ...]:
    """Scores of each attended person's crops, on the video's clock."""
    if clip.face_times is None or clip.face_track_ids is None:
        return ()
    times, ids = np.asarray(clip.face_times, dtype=np.float64), np.asarray(clip.face_track_ids)
    names = ("expressions", "micro", "motion", "action_units")
    available = {name: getattr(perception, name) for name in names if getattr(perception, name) is not None}
    return tuple(
        FaceScores(track, times[ids == track], **{name: values[ids == track] for name, values in available.items()})
        for track in np.unique(ids).tolist()
    )


def face_timelines(perception: Perception, clip: Clip) -> tuple[FaceTimeline, ...]:
    """Curves and events of each attended person; runs the event detector once per track."""
    return tuple(detect_events(scores, neutral=perception.neutral) for scores in face_scores(perception, clip))


def attended_timeline(clip: Clip, number: int, *, timelines: Sequence[FaceTimeline]) -> FaceTimeline | None:
    """Timeline of the person attended in an utterance; None if that person is not visible in it.

    Args:
        timelines: of the clip's people, on the video's clock. If the clip has no attended tracks, the person with the
            most crops in the utterance is used.
    """
    utterance = clip.utterances[number]
    if clip.utterance_track_ids:
        timelines = [timeline for timeline in timelines if timeline.track_id == clip.utterance_track_ids[number]]
    return attended(timelines, utterance.start_seconds, utterance.end_seconds)


def utterance_evidence(
    perception: Perception, clip: Clip, *, timelines: Sequence[FaceTimeline], prosody: Sequence[Prosody | None]
) -> tuple[tuple[Evidence, ...], ...]:
    """Findings for each utterance of a clip.

    Args:
        timelines: of `face_timelines`.
        prosody: of each utterance, None where silent.
    """
    intensities = _relative_units(clip)
    findings = []
    for number, utterance in enumerate(clip.utterances):
        span = utterance.start_seconds, utterance.end_seconds
        timeline = attended_timeline(clip, number, timelines=timelines)
        face: list[Evidence] = []
        if timeline is not None:
            face = _face_evidence(
                timeline, span, labels=perception.expression_labels, intensities=intensities.get(timeline.track_id)
            )
            face += _micro_evidence(timeline, span, perception=perception)
            face += _absence_evidence(timeline.times, span)
        elif clip.frames is not None:
            face = [Evidence("scene", NO_FACE, *span)]
        voice = None if perception.voice is None else perception.voice[number]
        words = None if perception.words is None or not prompt_words(utterance).strip() else perception.words[number]
        findings.append(
            (
                *face,
                *voice_evidence(voice, prosody[number], span, labels=perception.voice_labels),
                *words_evidence(words, span, labels=perception.word_labels),
            )
        )
    return tuple(findings)


def voice_evidence(
    probabilities: np.ndarray | None, prosody: Prosody | None, span: tuple[float, float], *, labels: Sequence[str]
) -> list[Evidence]:
    """Most likely vocal emotions of an utterance; the first one carries the prosody."""
    if prosody is None:
        return []
    manner = {"signs": speaking_manner(prosody), "pitch_semitones": prosody.pitch_semitones}
    if probabilities is None or not np.isfinite(probabilities).all():
        return [Evidence("voice", "", *span, **manner)] if manner["signs"] else []  # type: ignore[arg-type]
    findings = _strongest("voice", probabilities, span, labels=labels, threshold=MIN_PROBABILITY)
    return [replace(findings[0], **manner), *findings[1:]]  # type: ignore[arg-type]


def words_evidence(
    probabilities: np.ndarray | None, span: tuple[float, float], *, labels: Sequence[str]
) -> list[Evidence]:
    """Most likely emotions of the words of an utterance."""
    if probabilities is None:
        return []
    return _strongest("words", probabilities, span, labels=labels, threshold=MIN_WORDS_PROBABILITY)


def speaking_manner(prosody: Prosody) -> tuple[str, ...]:
    """Words for unusual prosody; pitch and loudness relative to the speaker's own."""

    def is_beyond(value: float | None, low: float, high: float) -> int:
        return 0 if value is None else int(value >= high) - int(value <= low)

    scales = (
        (is_beyond(prosody.pitch_semitones, -2.0, 2.0), ("low", "high")),
        (is_beyond(prosody.pitch_range_semitones, 3.0, 11.0), ("monotonous", "lively")),
        (is_beyond(prosody.loudness_decibels, -4.0, 4.0), ("soft", "loud")),
        (is_beyond(prosody.syllables_per_second, 2.8, 5.5), ("slow", "fast")),
        (is_beyond(prosody.pause_share, -1.0, 0.25), ("", "halting")),
    )
    return tuple(names[side > 0] for side, names in scales if side)[:MAX_SIGNS]


def _strongest(
    kind: EvidenceKind,
    probabilities: np.ndarray,
    span: tuple[float, float],
    *,
    labels: Sequence[str],
    threshold: float,
) -> list[Evidence]:
    order: Sequence[int] = np.argsort(-probabilities, kind="stable").tolist()
    selected = [
        column for rank, column in enumerate(order[:MAX_FINDINGS]) if rank == 0 or probabilities[column] >= threshold
    ]
    return [Evidence(kind, labels[column], *span, certainty=_rounded(probabilities[column])) for column in selected]


def _face_evidence(
    timeline: FaceTimeline, span: tuple[float, float], *, labels: Sequence[str], intensities: np.ndarray | None
) -> list[Evidence]:
    """The longest macro-expressions of a span, by time; without any, the mean expression of the span."""
    if timeline.expressions is None:
        return []
    events = sorted(timeline.macro_in(*span), key=lambda event: -event.overlap(*span))[:MAX_FINDINGS]
    findings = []
    for event in sorted(events, key=lambda event: event.onset_seconds):
        label = labels[event.expression]
        signs = _unit_signs(intensities, timeline.times, event, label=label)
        times = _rounded(event.onset_seconds), _rounded(event.offset_seconds)
        findings.append(Evidence("face", label, *times, certainty=_rounded(event.probability), signs=signs))
    if findings:
        return findings
    means = mean_expressions((timeline,), *span)
    return [] if means is None else _strongest("face", means, span, labels=labels, threshold=MIN_PROBABILITY)


def _micro_evidence(timeline: FaceTimeline, span: tuple[float, float], *, perception: Perception) -> list[Evidence]:
    events = sorted(timeline.micro_in(*span), key=lambda event: -event.probability)[:MAX_FINDINGS]
    findings = []
    for event in sorted(events, key=lambda event: event.apex_seconds):
        units: tuple[str, ...] = ()
        if event.action_units is not None:
            strongest: Sequence[int] = np.argsort(-event.action_units, kind="stable")[:MAX_SIGNS].tolist()
            names = perception.action_unit_labels
            units = tuple(names[unit] for unit in strongest if event.action_units[unit] >= MIN_UNIT_PROBABILITY)
        findings.append(
            Evidence(
                "micro_expression",
                perception.expression_labels[event.expression] if len(event.shares) else "",
                _rounded(event.onset_seconds),
                _rounded(event.offset_seconds),
                certainty=_rounded(event.probability),
                apex_seconds=_rounded(event.apex_seconds),
                signs=units,
            )
        )
    return findings


def _absence_evidence(times: np.ndarray, span: tuple[float, float]) -> list[Evidence]:
    """The longest part of a span without the face, visible at `times` (F,), if it exceeds `BLIND_SECONDS`."""
    visible_times = np.concatenate([[span[0]], times[rows_between(times, *span)], [span[1]]])
    longest = int(np.argmax(np.diff(visible_times)))
    if visible_times[longest + 1] - visible_times[longest] <= BLIND_SECONDS:
        return []
    return [Evidence("scene", NO_FACE, _rounded(visible_times[longest]), _rounded(visible_times[longest + 1]))]


def _relative_units(clip: Clip) -> dict[int, np.ndarray]:
    """(F, 18) unit intensities of each track relative to its rest; empty if not measured."""
    if clip.face_actions is None or clip.face_times is None or clip.face_actions_mask is None:
        return {}
    ids, times, mask = (np.asarray(each) for each in (clip.face_track_ids, clip.face_times, clip.face_actions_mask))
    tracks = {track: np.flatnonzero(ids == track) for track in np.unique(ids).tolist()}
    return {
        track: unit_intensities(relative_to_rest(clip.face_actions[rows], times[rows], mask=mask[rows]))
        for track, rows in tracks.items()
    }


def _unit_signs(
    intensities: np.ndarray | None, times: np.ndarray, event: FacialEvent, *, label: str
) -> tuple[str, ...]:
    """Labels of the strongest units of an expression while it lasts."""
    rows = rows_between(times, event.onset_seconds, event.offset_seconds)
    if intensities is None or rows.start >= rows.stop:
        return ()
    means = intensities[rows].mean(0)
    unit_numbers = SIGNS_OF_EXPRESSION.get(label, ())
    candidates = [
        (float(mean), unit.label)
        for mean, unit in zip(means, FACIAL_ACTIONS, strict=True)
        if unit.number in unit_numbers and mean >= MIN_UNIT_INTENSITY
    ]
    return tuple(name for _, name in sorted(candidates, key=lambda entry: -entry[0])[:MAX_SIGNS])


def _rounded(value: float) -> float:
    return round(float(value), 3)
