"""Data classes between reading a video and creating tensors.

All times are in seconds on the video container's clock. All boxes are xyxy in pixels of the full frame, end
exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

FACE_READINGS = ("face_actions", "head_pose", "gaze", "face_actions_mask")
FACE_ARRAYS = ("face_crops", "face_times", "face_track_ids", *FACE_READINGS)  # of a `Clip`, one row per crop


@dataclass(frozen=True)
class Utterance:
    """One segment of speech by one person.

    language: Whisper's code of the language of `text` ("en", "zh"), None if unknown.
    language_probability: of a detected language.
    english: translation of `text`, if it is in another language and the translation is known.
    foreign_tags: tags that another recogniser wrote into the words (a language, an emotion), see `recogniser_tags`;
    for
        display only, never shown to the language model.

    Raises `ValueError` if the times are not finite, negative or empty.
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
    """Returns the words for the language model, which understands English only.

    For an utterance in another language, that is its translation, or nothing if there is none. Words of unknown
    language
    are used as they are.
    """
    if utterance.english is not None:
        return utterance.english
    return utterance.text if utterance.language in (None, "en") else ""


class Transcription(tuple[Utterance, ...]):
    """A recogniser's utterances; those with untrusted words are excluded and listed in `low_confidence`."""

    low_confidence: tuple[Utterance, ...]

    def __new__(
        cls, utterances: Iterable[Utterance] = (), *, low_confidence: Iterable[Utterance] = ()
    ) -> Transcription:
        transcription = super().__new__(cls, tuple(utterances))
        transcription.low_confidence = tuple(low_confidence)
        return transcription


@dataclass(frozen=True)
class FaceTrack:
    """One person's face over time; it is not visible between `times`.

    times: (F,) float64 seconds, increasing. boxes: (F, 4) float32. scores: (F,) float32 in [0, 1].
    landmarks: (F, 5, 2) float32 pixels, in the order left eye, right eye, nose, left and right corner of the mouth, as
        seen in the image; NaN where tracked but not detected.
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
    """A video, or a chunk of a long one, read and aligned: the source of all tensors.

    A missing stream is None, and `missing_reasons` says why ("faces" -> "no face found", ...).

    frames: (T, H, W, 3) uint8 RGB, with frame_times (T,).
    face_crops: (F, h, w, 3) uint8 RGB, aligned, with face_times (F,) increasing and face_track_ids (F,) int.
    face_actions: (F, 52) float32 in [0, 1]; head_pose: (F, 3) float32 degrees (pitch, yaw, roll); gaze: (F, 2) float32
        degrees (yaw, pitch). Valid where face_actions_mask (F,) is True, zero elsewhere.
    utterance_track_ids: track of the attended person of each utterance, None where no face is attended.
    waveform: (S,) float32 mono in [-1, 1], starts at start_seconds.
    media_end_seconds: end of the whole file, which may be later than that of the chunk.
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

    def take_faces(self, rows: np.ndarray | slice) -> Clip:
        """The clip with a subset of its face crops and their measurements."""
        arrays = {name: getattr(self, name) for name in FACE_ARRAYS}
        subset: dict[str, Any] = {name: np.asarray(array)[rows] for name, array in arrays.items() if array is not None}
        return replace(self, **subset)

    def without_faces(self) -> Clip:
        """The clip without face crops and their measurements."""
        removed: dict[str, Any] = dict.fromkeys(FACE_ARRAYS)
        return replace(self, **removed)

    def _check_pair(self, first: str, second: str) -> None:
        first_array, second_array = getattr(self, first), getattr(self, second)
        if (first_array is None) != (second_array is None):
            raise ValueError(f"{first} and {second} must be given together")
        if first_array is not None and len(first_array) != len(second_array):
            raise ValueError(f"{first} has {len(first_array)} entries, {second} has {len(second_array)}")
