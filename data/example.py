"""Labelled clips of any data set, and their rows in tables of the `datasets` library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from microemo.processing.emotion_parsing import MAX_LABEL_LENGTH

EVENT_KINDS = ("micro", "macro")
NO_QUESTION = -1


@dataclass(frozen=True)
class EmotionTargets:
    """Emotion labels in all supported forms. Empty and None are unknown.

    open_labels: words, the most important first. description: explanation in free text. closed_label: class of a data
    set ("happy", "anger", ...). emotions: all labels of the emotion head that apply. valence, arousal: in -1..1,
    converted from the scale of the data set.
    """

    open_labels: tuple[str, ...] = ()
    description: str = ""
    closed_label: str | None = None
    emotions: tuple[str, ...] = ()
    valence: float | None = None
    arousal: float | None = None

    def __post_init__(self) -> None:
        for name in ("valence", "arousal"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ValueError(f"{name} ({value}) must be in -1..1")


@dataclass(frozen=True)
class LabelledUtterance:
    """An utterance and its labels. Without times (both None) it spans the clip."""

    text: str = ""
    start_seconds: float | None = None
    end_seconds: float | None = None
    speaker: str | None = None
    targets: EmotionTargets = EmotionTargets()

    def __post_init__(self) -> None:
        if (self.start_seconds is None) != (self.end_seconds is None):
            raise ValueError(
                "start_seconds and end_seconds must both be given or both be None, got "
                f"{self.start_seconds} and {self.end_seconds}"
            )


@dataclass(frozen=True)
class FaceEvent:
    """A facial expression with onset, apex and offset. kind: "micro" or "macro". intensity: at the apex, 0..1."""

    kind: str
    emotion: str
    onset_seconds: float
    apex_seconds: float
    offset_seconds: float
    intensity: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in EVENT_KINDS:
            raise ValueError(f"kind ({self.kind!r}) must be one of {', '.join(EVENT_KINDS)}")
        if not self.onset_seconds <= self.apex_seconds <= self.offset_seconds:
            raise ValueError(
                f"onset ({self.onset_seconds}), apex ({self.apex_seconds}) and offset ({self.offset_seconds}) must be "
                "in this order"
            )


@dataclass(frozen=True)
class FaceTimeline:
    """Labels of the face over time.

    events: complete, so that there is no expression at other times. unit_names: names of the A measured action units.
    unit_times: (F,) seconds. unit_values: (F, A) in 0..1.
    """

    events: tuple[FaceEvent, ...] = ()
    unit_names: tuple[str, ...] = ()
    unit_times: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    unit_values: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __post_init__(self) -> None:
        expected = (len(self.unit_times), len(self.unit_names))
        if self.unit_values.shape != expected:
            raise ValueError(f"unit_values must have shape {expected}, got {self.unit_values.shape}")


@dataclass(frozen=True)
class Turn:
    """A question and its answer from the data set.

    options: the answers to choose from, () for a free one. task: which of a data set's tasks it belongs to.
    """

    question: str
    answer: str
    options: tuple[str, ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        if self.options and self.answer not in self.options:
            raise ValueError(f"answer ({self.answer!r}) must be one of the options {', '.join(self.options)}")


@dataclass(frozen=True)
class Example:
    """A labelled clip. Paths are strings.

    video, audio: files, or None; the audio of the video is used if audio is None. faces: array file of aligned face
    crops. transcript: file with the utterances' times. targets: labels of the whole clip. turn: question and answer
    that replace the package's questions. question_index: index of the package's question, 0 about the clip, u about
    utterance u, `NO_QUESTION` for none; None: the first question with an answer.
    """

    example_id: str
    video: str | None = None
    audio: str | None = None
    faces: str | None = None
    transcript: str | None = None
    utterances: tuple[LabelledUtterance, ...] = ()
    targets: EmotionTargets = EmotionTargets()
    timeline: FaceTimeline | None = None
    turn: Turn | None = None
    question_index: int | None = None

    def __post_init__(self) -> None:
        if self.video is None and self.audio is None and not any(entry.text for entry in self.utterances):
            raise ValueError(f"example {self.example_id!r} has neither video nor audio nor words")
        if self.question_index is not None and not NO_QUESTION <= self.question_index <= len(self.utterances):
            raise ValueError(
                f"question_index ({self.question_index}) must be in {NO_QUESTION}..{len(self.utterances)}, the number "
                "of utterances"
            )

    def to_row(self) -> dict[str, Any]:
        """Returns plain values for a table of `datasets`; `from_row` is the inverse."""
        row = asdict(self)
        if self.timeline is not None:
            row["timeline"]["unit_values"] = np.asarray(self.timeline.unit_values, np.float32).reshape(-1).tolist()
            row["timeline"]["unit_times"] = np.asarray(self.timeline.unit_times, np.float32).tolist()
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Example:
        """Creates an example from the row of a table."""
        turn, timeline = row["turn"], row["timeline"]
        plain = ("example_id", "video", "audio", "faces", "transcript", "question_index")
        fields: dict[str, Any] = {name: row[name] for name in plain}
        return cls(
            **fields,
            utterances=tuple(
                LabelledUtterance(**{**entry, "targets": _targets(entry["targets"])}) for entry in row["utterances"]
            ),
            targets=_targets(row["targets"]),
            timeline=None if timeline is None else _timeline(timeline),
            turn=None if turn is None else Turn(**{**turn, "options": tuple(turn["options"])}),
        )


def writable_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Normalises labels for answers: lower case, only letters, blanks, hyphens and apostrophes, without duplicates.

    Labels that are empty after this or too long are dropped.
    """
    cleaned = []
    for label in labels:
        letters = "".join(letter if letter.isalpha() or letter in " '-" else " " for letter in label.lower())
        word = " ".join(letters.split()).strip("'- ")
        if word and len(word) <= MAX_LABEL_LENGTH:
            cleaned.append(word)
    return tuple(dict.fromkeys(cleaned))


def _targets(entry: Mapping[str, Any]) -> EmotionTargets:
    return EmotionTargets(
        **{**entry, "open_labels": tuple(entry["open_labels"]), "emotions": tuple(entry["emotions"])}
    )


def _timeline(entry: Mapping[str, Any]) -> FaceTimeline:
    names = tuple(entry["unit_names"])
    return FaceTimeline(
        events=tuple(FaceEvent(**event) for event in entry["events"]),
        unit_names=names,
        unit_times=np.asarray(entry["unit_times"], np.float32),
        unit_values=np.asarray(entry["unit_values"], np.float32).reshape(len(entry["unit_times"]), len(names)),
    )
