"""Findings as JSON that gives back the very same values: arrays keep every bit, dataclasses their class.

No pickle: a file may come from elsewhere, and reading it must run nothing.
"""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.report.report import Thumbnail
from microemo.processing.clip import Clip, FaceTrack, Utterance
from microemo.processing.detection_record import DetectionRecord
from microemo.processing.emotion_parsing import ParsedEmotions
from microemo.processing.evidence import Evidence
from microemo.processing.face_readings import FaceReadings
from microemo.processing.facial_events import FaceScores, FaceTimeline, FacialEvent
from microemo.processing.prosody import VoiceTrace

CLASSES = {
    each.__name__: each
    for each in (
        Clip,
        DetectionRecord,
        Evidence,
        FaceReadings,
        FaceScores,
        FaceTimeline,
        FaceTrack,
        FacialEvent,
        ParsedEmotions,
        Thumbnail,
        Utterance,
        VoiceTrace,
        ChunkPerception,
    )
}
CLASS, ARRAY, SET, MAPPING = "class", "array", "set", "mapping"  # the key that tells what an object stands for


def to_plain(value: Any) -> Any:
    """`value` in terms of JSON; tuples become lists."""
    if isinstance(value, np.ndarray):
        return {ARRAY: _packed(value)}
    if is_dataclass(value) and type(value).__name__ in CLASSES:
        return {
            CLASS: type(value).__name__,
            **{each.name: to_plain(getattr(value, each.name)) for each in fields(value)},
        }
    if isinstance(value, (tuple, list)):
        return [to_plain(each) for each in value]
    if isinstance(value, frozenset):
        return {SET: sorted(value)}
    if isinstance(value, dict):
        return {MAPPING: {key: to_plain(each) for key, each in value.items()}}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"value must be plain, an array or one of {', '.join(CLASSES)}, got {type(value).__name__}")


def from_plain(plain: Any) -> Any:
    """The value that `to_plain` was given; lists become tuples."""
    if isinstance(plain, list):
        return tuple(from_plain(each) for each in plain)
    if not isinstance(plain, dict):
        return plain
    if ARRAY in plain:
        return _unpacked(plain[ARRAY])
    if SET in plain:
        return frozenset(plain[SET])
    if MAPPING in plain:
        return {key: from_plain(each) for key, each in plain[MAPPING].items()}
    name = plain.get(CLASS)
    if name not in CLASSES:
        raise ValueError(f"class must be one of {', '.join(CLASSES)}, got {name!r}")
    return CLASSES[name](**{key: from_plain(each) for key, each in plain.items() if key != CLASS})


def _packed(array: np.ndarray) -> str:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return base64.b64encode(zlib.compress(stream.getvalue())).decode("ascii")


def _unpacked(text: str) -> np.ndarray:
    return np.load(io.BytesIO(zlib.decompress(base64.b64decode(text))), allow_pickle=False)
