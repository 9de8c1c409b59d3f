"""Ground truth of a synthetic clip, and its JSON line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from microemo.data.action_units import LABELS
from microemo.processing.clip import Utterance

KINDS = ("micro", "macro")
SIDES = ("both", "left", "right")
DECIMALS = 4  # of numbers in the JSON: 0.1 ms


@dataclass(frozen=True)
class FaceEvent:
    """A macro-expression or micro-expression.

    Args:
        kind: "micro" or "macro".
        emotion: one of `action_units.EMOTIONS`.
        units: its action units ("AU4", ...).
        apex_seconds: time of full intensity.
        intensity: of the strongest unit, 0..1.
        side: of the picture.
    """

    kind: str
    emotion: str
    units: tuple[str, ...]
    onset_seconds: float
    apex_seconds: float
    offset_seconds: float
    intensity: float
    side: str = "both"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'kind ("{self.kind}") must be one of {", ".join(KINDS)}')
        if self.side not in SIDES:
            raise ValueError(f'side ("{self.side}") must be one of {", ".join(SIDES)}')
        unknown = sorted(set(self.units) - set(LABELS))
        if unknown:
            raise ValueError(f"units has {', '.join(unknown)}; known are {', '.join(LABELS)}")
        if not 0 <= self.onset_seconds < self.apex_seconds < self.offset_seconds:
            raise ValueError(
                f"onset ({self.onset_seconds}), apex ({self.apex_seconds}) and offset ({self.offset_seconds}) must "
                "increase"
            )
        if not 0 < self.intensity <= 1:
            raise ValueError(f"intensity ({self.intensity}) must be in (0, 1]")


@dataclass(frozen=True)
class Feeling:
    """An emotion in all label formats.

    Args:
        labels: open-vocabulary words, strongest first.
        emotion: one of eight closed labels.
        goemotions: labels of GoEmotions.
        valence, arousal: in -1..1.
        explanation: "Emotions: ...", a new line, "Reason: ...".
    """

    labels: tuple[str, ...]
    emotion: str
    goemotions: tuple[str, ...]
    valence: float
    arousal: float
    explanation: str


@dataclass(frozen=True)
class UtteranceTruth:
    """An utterance and its ground truth.

    Args:
        words_emotion, voice_emotion, face_emotion: emotion of each channel, of the face without micro-expressions; ""
            without words or face.
        voice_source: "espeak-ng" or the name of the recording.
        on_screen: whether the speaker is the person in the picture.
    """

    utterance: Utterance
    feeling: Feeling
    words_emotion: str
    voice_emotion: str
    face_emotion: str
    voice_source: str
    on_screen: bool = True


@dataclass(frozen=True)
class ClipTruth:
    """Ground truth of one clip.

    Args:
        identity: of the photograph, for data splits.
        frame_times: (F,) float64 seconds.
        action_units: (F, 18) float32 in 0..1, in the order of `action_units.LABELS`, as rendered: AU25 and AU26
            include speech, AU43 blinks.
        alterations: descriptions of the augmentations.
    """

    clip_id: str
    seed: int
    index: int
    identity: str
    width: int
    height: int
    duration_seconds: float
    frame_times: np.ndarray
    action_units: np.ndarray
    events: tuple[FaceEvent, ...]
    utterances: tuple[UtteranceTruth, ...]
    feeling: Feeling
    alterations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = (len(self.frame_times), len(LABELS))
        if self.action_units.shape != expected:
            raise ValueError(f"action_units must have shape {expected}, got {self.action_units.shape}")

    def to_json(self) -> str:
        """Returns one line of JSON, with numbers rounded to `DECIMALS`."""
        record = {
            "clip_id": self.clip_id,
            "seed": self.seed,
            "index": self.index,
            "identity": self.identity,
            "width": self.width,
            "height": self.height,
            "duration_seconds": self.duration_seconds,
            **asdict(self.feeling),
            "utterances": [_utterance_record(utterance) for utterance in self.utterances],
            "events": [asdict(event) for event in self.events],
            "alterations": self.alterations,
            "action_unit_names": LABELS,
            "frame_times": self.frame_times.tolist(),
            "action_units": self.action_units.tolist(),
        }
        return json.dumps(_rounded(record), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> ClipTruth:
        """Parses a line; other action units raise `ValueError`, missing fields `KeyError`."""
        record = json.loads(line)
        if tuple(record["action_unit_names"]) != LABELS:
            raise ValueError(f"action_unit_names must be {LABELS}, got {record['action_unit_names']}")
        plain = ("clip_id", "seed", "index", "identity", "width", "height", "duration_seconds")
        return cls(
            **{name: record[name] for name in plain},
            frame_times=np.array(record["frame_times"], np.float64),
            action_units=np.array(record["action_units"], np.float32).reshape(-1, len(LABELS)),
            events=tuple(FaceEvent(**{**event, "units": tuple(event["units"])}) for event in record["events"]),
            utterances=tuple(_utterance_from_record(entry) for entry in record["utterances"]),
            feeling=_feeling_from_record(record),
            alterations=tuple(record["alterations"]),
        )


def _utterance_record(truth: UtteranceTruth) -> dict[str, object]:
    return {
        **asdict(truth.utterance),
        **asdict(truth.feeling),
        "words_emotion": truth.words_emotion,
        "voice_emotion": truth.voice_emotion,
        "face_emotion": truth.face_emotion,
        "voice_source": truth.voice_source,
        "on_screen": truth.on_screen,
    }


def _utterance_from_record(record: dict) -> UtteranceTruth:
    channels = ("words_emotion", "voice_emotion", "face_emotion", "voice_source", "on_screen")
    return UtteranceTruth(
        utterance=Utterance(record["start_seconds"], record["end_seconds"], record["text"], record["speaker"]),
        feeling=_feeling_from_record(record),
        **{name: record[name] for name in channels},
    )


def _feeling_from_record(record: dict) -> Feeling:
    return Feeling(
        labels=tuple(record["labels"]),
        emotion=record["emotion"],
        goemotions=tuple(record["goemotions"]),
        valence=record["valence"],
        arousal=record["arousal"],
        explanation=record["explanation"],
    )


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return value
