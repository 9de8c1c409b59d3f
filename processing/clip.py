"""The values that pass between reading a video and making tensors of it.

Every time is in seconds on the video container's own clock; every box is xyxy in pixels of the full frame, end
exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

FACE_READINGS = ("face_actions", "head_pose", "gaze", "face_actions_mask")
FACE_ARRAYS = ("face_crops", "face_times", "face_track_ids", *FACE_READINGS)  # of a `Clip`, a row for each crop


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech by one person.

    language: Whisper's code of the language of `text` ("en", "zh"), None where nobody asked. language_probability: of
    a language that was heard. english: the words in English where `text` is in another language and they are known.
    foreign_tags: what another recogniser wrote into the words beside them (a language, an emotion), see
    `recogniser_tags`; a hint for people, never shown to the language model.

    Raises `ValueError` when the times are not finite, negative or empty.
    """

    start_seconds: float
    end_seconds: float
    text: str = ""
    speaker: str | None = None
    language: str | None = None
    language_probability: float | None = None
    english: str | None = None
    foreign_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.start_seconds) and np.isfinite(self.end_seconds)):
            raise ValueError(f"utterance times must be finite, got {self.start_seconds} - {self.end_seconds}")
        if self.start_seconds < 0:
            raise ValueError(f"start_seconds ({self.start_seconds}) must be >= 0")
        if self.end_seconds <= self.start_seconds:
            raise ValueError(f"end_seconds ({self.end_seconds}) must be > start_seconds ({self.start_seconds})")


def prompt_words(utterance: Utterance) -> str:
    """Returns the words that a language model is given, which knows English only.

    Those are the English text of an utterance in another language, and nothing where there is none. Words whose
    language nobody asked about are given as they are.
    """
    if utterance.english is not None:
        return utterance.english
    return utterance.text if utterance.language in (None, "en") else ""


class Transcription(tuple[Utterance, ...]):
    """The utterances of a recognizer; those whose words are not trusted are left out of it, in `low_confidence`."""

    low_confidence: tuple[Utterance, ...]

    def __new__(
        cls, utterances: Iterable[Utterance] = (), *, low_confidence: Iterable[Utterance] = ()
    ) -> Transcription:
        transcription = super().__new__(cls, tuple(utterances))
        transcription.low_confidence = tuple(low_confidence)
        return transcription


@dataclass(frozen=True)
class FaceTrack:
    """One person's face through time; between `times` the face was not seen.

    times: (F,) float64 seconds, increasing. boxes: (F, 4) float32. landmarks: (F, 5, 2) float32 pixels, in the order
    left eye, right eye, nose, left and right corner of the mouth, as seen in the picture; NaN where tracked, not
    detected. scores: (F,) float32 in [0, 1].
    """

    track_id: int
    times: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.times)
        shapes = {"times": (count,), "boxes": (count, 4), "landmarks": (count, 5, 2), "scores": (count,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if count == 0:
            raise ValueError("a FaceTrack needs at least one face")
        if np.any(np.diff(self.times) <= 0):
            raise ValueError("times must increase")


@dataclass(frozen=True)
class Clip:
    """A video, or a chunk of a long one, read and aligned: all that the tensors are made of.

    A stream that is missing is None and its reason stands in `missing_reasons` ("faces" -> "no face found", ...).
    frames: (T, H, W, 3) uint8 RGB with frame_times (T,). face_crops: (F, h, w, 3) uint8 RGB, aligned, with face_times
    (F,) increasing and face_track_ids (F,) int; of each crop where it was measured (`face_actions_mask` (F,) bool):
    face_actions (F, 52) float32 in [0, 1], head_pose (F, 3) float32 degrees (pitch, yaw, roll) and gaze (F, 2) float32
    degrees (yaw, pitch), zero elsewhere. waveform: (S,) float32 mono in [-1, 1] that begins at start_seconds.
    media_end_seconds: where the whole file ends, which a chunk does not reach.
    utterance_track_ids: for each utterance the track of the attended person, None where no face is attended.
    """

    source: str
    start_seconds: float
    end_seconds: float
    utterances: tuple[Utterance, ...]
    frames: np.ndarray | None = None
    frame_times: np.ndarray | None = None
    face_crops: np.ndarray | None = None
    face_times: np.ndarray | None = None
    face_track_ids: np.ndarray | None = None
    face_actions: np.ndarray | None = None
    head_pose: np.ndarray | None = None
    gaze: np.ndarray | None = None
    face_actions_mask: np.ndarray | None = None
    utterance_track_ids: tuple[int | None, ...] = ()
    tracks: tuple[FaceTrack, ...] = ()
    waveform: np.ndarray | None = None
    sampling_rate: int = 16_000
    media_end_seconds: float | None = None
    missing_reasons: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.end_seconds <= self.start_seconds:
            raise ValueError(f"end_seconds ({self.end_seconds}) must be > start_seconds ({self.start_seconds})")
        for pictures, times in (("frames", "frame_times"), ("face_crops", "face_times")):
            self._check_pair(pictures, times)
        self._check_pair("face_crops", "face_track_ids")
        measured = [name for name in FACE_READINGS if getattr(self, name) is not None]
        if measured and len(measured) < len(FACE_READINGS):
            raise ValueError(f"{', '.join(FACE_READINGS)} must be given together, got {', '.join(measured)} alone")
        for name in measured:
            self._check_pair("face_crops", name)
        if len(self.utterance_track_ids) not in (0, len(self.utterances)):
            raise ValueError(
                f"utterance_track_ids has {len(self.utterance_track_ids)} entries "
                f"for {len(self.utterances)} utterances"
            )

    def take_faces(self, chosen: np.ndarray | slice) -> Clip:
        """The clip with some of its face crops, and with what was measured of these."""
        rows = {name: getattr(self, name) for name in FACE_ARRAYS}
        kept: dict[str, Any] = {name: np.asarray(row)[chosen] for name, row in rows.items() if row is not None}
        return replace(self, **kept)

    def without_faces(self) -> Clip:
        """The clip without crops and without what was measured of faces."""
        nothing: dict[str, Any] = dict.fromkeys(FACE_ARRAYS)
        return replace(self, **nothing)

    def _check_pair(self, first: str, second: str) -> None:
        one, other = getattr(self, first), getattr(self, second)
        if (one is None) != (other is None):
            raise ValueError(f"{first} and {second} must be given together")
        if one is not None and len(one) != len(other):
            raise ValueError(f"{first} has {len(one)} entries, {second} has {len(other)}")
