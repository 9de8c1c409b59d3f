"""Evidence: what perception found of each utterance, as one typed list.

    Perception (probabilities of face, voice and words) --pure functions--> Evidence --evidence_text--> plain English

Report, prompt, training targets and the check of explanations read this list and nothing else: what is not in it is
not said. Its size is bounded, the strongest findings of each stream first.

Times are seconds on the video's own clock; spans are half open.
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

MAX_FINDINGS = 2  # of a kind in one utterance
MIN_PROBABILITY = 0.25  # of a second label
MIN_WORDS_PROBABILITY = 0.2  # of many labels at once, each is rarely sure
MIN_UNIT_INTENSITY = 0.12  # above a face's own rest
MIN_UNIT_PROBABILITY = 0.5
MAX_SIGNS = 3

# Units that make each expression (EMFACS, Friesen & Ekman 1983): others, as speech moves the mouth, are no sign of it.
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

    kind: the stream it comes from; "scene" says what is in the picture. label: the expression or emotion found; of a
    scene, what it is ("no face"). certainty: its probability, None where it is a plain fact. start_seconds,
    end_seconds: from onset to offset, as far as they are known, else the utterance. apex_seconds: of a
    micro-expression. signs: what it was read from, action units ("AU12") or ways of speaking ("loud").
    pitch_semitones: against the speaker's own median.
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
        """The same finding so many seconds later."""
        apex = None if self.apex_seconds is None else self.apex_seconds + seconds
        start, end = self.start_seconds + seconds, self.end_seconds + seconds
        return replace(self, start_seconds=start, end_seconds=end, apex_seconds=apex)


@dataclass(frozen=True)
class Perception:
    """What each stream of one clip shows by itself: probabilities, None where a stream is missing or untrained.

    expressions (F, X), micro (F,), motion (F, X), action_units (F, A): of the clip's face crops, see `FaceScores`.
    voice: (U, V) of each utterance, NaN where nothing is heard. words: (U, E), several may be true at once.
    The names of the columns: expression_labels, action_unit_labels, voice_labels, word_labels.
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
        """Number of the expression that is none; None where every one is."""
        return self.expression_labels.index(NEUTRAL) if NEUTRAL in self.expression_labels else None


def face_scores(perception: Perception, clip: Clip) -> tuple[FaceScores, ...]:
    """The scores of each attended person's crops, on the video's clock."""
    if clip.face_times is None or clip.face_track_ids is None:
        return ()
    times, ids = np.asarray(clip.face_times, dtype=np.float64), np.asarray(clip.face_track_ids)
    names = ("expressions", "micro", "motion", "action_units")
    known = {name: getattr(perception, name) for name in names if getattr(perception, name) is not None}
    return tuple(
        FaceScores(track, times[ids == track], **{name: values[ids == track] for name, values in known.items()})
        for track in np.unique(ids).tolist()
    )


def face_timelines(perception: Perception, clip: Clip) -> tuple[FaceTimeline, ...]:
    """Curves and events of each attended person: the one detector, run once for each track."""
    return tuple(detect_events(scores, neutral=perception.neutral) for scores in face_scores(perception, clip))


def attended_timeline(clip: Clip, number: int, *, timelines: Sequence[FaceTimeline]) -> FaceTimeline | None:
    """The person attended in an utterance of a clip, None where none is seen in it.

    Args:
        timelines: of the clip's people, on its clock. Whom the reader chose is attended; in a clip made without
            choosing, the person most often seen in the utterance.
    """
    utterance = clip.utterances[number]
    if clip.utterance_track_ids:
        timelines = [line for line in timelines if line.track_id == clip.utterance_track_ids[number]]
    return attended(timelines, utterance.start_seconds, utterance.end_seconds)


def utterance_evidence(
    perception: Perception, clip: Clip, *, timelines: Sequence[FaceTimeline], prosody: Sequence[Prosody | None]
) -> tuple[tuple[Evidence, ...], ...]:
    """What was found of each utterance of a clip.

    Args:
        timelines: of `face_timelines`. prosody: of each utterance, None where nothing is heard.
    """
    intensities = _relative_units(clip)
    found = []
    for number, utterance in enumerate(clip.utterances):
        span = utterance.start_seconds, utterance.end_seconds
        line = attended_timeline(clip, number, timelines=timelines)
        face: list[Evidence] = []
        if line is not None:
            face = _face_evidence(
                line, span, labels=perception.expression_labels, intensities=intensities.get(line.track_id)
            )
            face += _micro_evidence(line, span, perception=perception)
            face += _absences(line.times, span)
        elif clip.frames is not None:
            face = [Evidence("scene", NO_FACE, *span)]
        voice = None if perception.voice is None else perception.voice[number]
        words = None if perception.words is None or not prompt_words(utterance).strip() else perception.words[number]
        found.append(
            (
                *face,
                *voice_evidence(voice, prosody[number], span, labels=perception.voice_labels),
                *words_evidence(words, span, labels=perception.word_labels),
            )
        )
    return tuple(found)


def voice_evidence(
    probabilities: np.ndarray | None, prosody: Prosody | None, span: tuple[float, float], *, labels: Sequence[str]
) -> list[Evidence]:
    """How an utterance sounds: its likeliest emotions, the first with the way of speaking."""
    if prosody is None:
        return []
    manner = {"signs": speaking_manner(prosody), "pitch_semitones": prosody.pitch_semitones}
    if probabilities is None or not np.isfinite(probabilities).all():
        return [Evidence("voice", "", *span, **manner)] if manner["signs"] else []  # type: ignore[arg-type]
    found = _strongest("voice", probabilities, span, labels=labels, least=MIN_PROBABILITY)
    return [replace(found[0], **manner), *found[1:]]  # type: ignore[arg-type]


def words_evidence(
    probabilities: np.ndarray | None, span: tuple[float, float], *, labels: Sequence[str]
) -> list[Evidence]:
    """What the words of an utterance express: the likeliest emotions."""
    if probabilities is None:
        return []
    return _strongest("words", probabilities, span, labels=labels, least=MIN_WORDS_PROBABILITY)


def speaking_manner(prosody: Prosody) -> tuple[str, ...]:
    """What stands out in a way of speaking, in words; pitch and loudness against the speaker's own."""

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
    kind: EvidenceKind, probabilities: np.ndarray, span: tuple[float, float], *, labels: Sequence[str], least: float
) -> list[Evidence]:
    order: Sequence[int] = np.argsort(-probabilities, kind="stable").tolist()
    shown = [
        column for place, column in enumerate(order[:MAX_FINDINGS]) if place == 0 or probabilities[column] >= least
    ]
    return [Evidence(kind, labels[column], *span, certainty=_rounded(probabilities[column])) for column in shown]


def _face_evidence(
    line: FaceTimeline, span: tuple[float, float], *, labels: Sequence[str], intensities: np.ndarray | None
) -> list[Evidence]:
    """The macro-expressions that fill most of a span, by time; where there is none, the expression of its mean."""
    if line.expressions is None:
        return []
    events = sorted(line.macro_in(*span), key=lambda event: -event.overlap(*span))[:MAX_FINDINGS]
    found = []
    for event in sorted(events, key=lambda event: event.onset_seconds):
        label = labels[event.expression]
        signs = _unit_signs(intensities, line.times, event, label=label)
        times = _rounded(event.onset_seconds), _rounded(event.offset_seconds)
        found.append(Evidence("face", label, *times, certainty=_rounded(event.probability), signs=signs))
    if found:
        return found
    means = mean_expressions((line,), *span)
    return [] if means is None else _strongest("face", means, span, labels=labels, least=MIN_PROBABILITY)


def _micro_evidence(line: FaceTimeline, span: tuple[float, float], *, perception: Perception) -> list[Evidence]:
    events = sorted(line.micro_in(*span), key=lambda event: -event.probability)[:MAX_FINDINGS]
    found = []
    for event in sorted(events, key=lambda event: event.apex_seconds):
        units: tuple[str, ...] = ()
        if event.action_units is not None:
            strongest: Sequence[int] = np.argsort(-event.action_units, kind="stable")[:MAX_SIGNS].tolist()
            names = perception.action_unit_labels
            units = tuple(names[unit] for unit in strongest if event.action_units[unit] >= MIN_UNIT_PROBABILITY)
        found.append(
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
    return found


def _absences(times: np.ndarray, span: tuple[float, float]) -> list[Evidence]:
    """The longest stretch of a span in which the face, seen at `times` (F,), is not seen; () where it always is."""
    seen = np.concatenate([[span[0]], times[rows_between(times, *span)], [span[1]]])
    longest = int(np.argmax(np.diff(seen)))
    if seen[longest + 1] - seen[longest] <= BLIND_SECONDS:
        return []
    return [Evidence("scene", NO_FACE, _rounded(seen[longest]), _rounded(seen[longest + 1]))]


def _relative_units(clip: Clip) -> dict[int, np.ndarray]:
    """(F, 18) intensities of each track's facial actions above its own rest; nothing where they were not measured."""
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
    """Labels of the units of an expression that stand out while it lasts, the strongest first."""
    rows = rows_between(times, event.onset_seconds, event.offset_seconds)
    if intensities is None or rows.start >= rows.stop:
        return ()
    means = intensities[rows].mean(0)
    wanted = SIGNS_OF_EXPRESSION.get(label, ())
    strong = [
        (float(mean), unit.label)
        for mean, unit in zip(means, FACIAL_ACTIONS, strict=True)
        if unit.number in wanted and mean >= MIN_UNIT_INTENSITY
    ]
    return tuple(name for _, name in sorted(strong, key=lambda entry: -entry[0])[:MAX_SIGNS])


def _rounded(value: float) -> float:
    return round(float(value), 3)
