"""Stream dropout: hides streams of a clip at random in training, so that the model learns to use all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from microemo.processing.clip import Clip

HIDDEN = "hidden while training"
FACE_RATE = "face_rate"


@dataclass(frozen=True)
class StreamDropout:
    """Probability of hiding each stream of a clip, 0..1. faces: only the crops. pictures: frames and crops.

    face_rate: probability of dropping every second crop, so that the model supports several face rates.
    """

    words: float = 0.0
    voice: float = 0.0
    faces: float = 0.0
    pictures: float = 0.0
    face_rate: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            if not 0 <= getattr(self, entry.name) <= 1:
                raise ValueError(f"{entry.name} ({getattr(self, entry.name)}) must be in 0..1")

    def draw(self) -> frozenset[str]:
        """Draws the streams to hide with torch's generator, so that a resumed run draws the same."""
        names = [entry.name for entry in fields(self)]
        chances = torch.rand(len(names)).tolist()
        return frozenset(name for name, chance in zip(names, chances, strict=True) if chance < getattr(self, name))


def hide_streams(clip: Clip, *, hidden: frozenset[str], reason: str = HIDDEN) -> Clip:
    """Returns the clip without the hidden streams, or unchanged if no stream would remain.

    Args:
        reason: recorded in the clip as the reason for the missing streams.
    """
    present = _present(clip)
    remaining = present - hidden - ({"faces"} if "pictures" in hidden else frozenset())
    if not present & hidden or not remaining:
        return clip
    missing_reasons = {**clip.missing_reasons}
    if "words" in hidden:
        clip = replace(clip, utterances=tuple(replace(utterance, text="") for utterance in clip.utterances))
    if "voice" in hidden:
        clip = replace(clip, waveform=None)
        missing_reasons["audio"] = reason
    if hidden & {"faces", "pictures"}:
        clip = clip.without_faces()
        missing_reasons["faces"] = reason
    if "pictures" in hidden:
        clip = replace(clip, frames=None, frame_times=None)
        missing_reasons["frames"] = reason
    return replace(clip, missing_reasons=missing_reasons)


def every_second_crop(clip: Clip) -> Clip:
    """Returns the clip with half the face rate."""
    return clip if clip.face_crops is None else clip.take_faces(slice(None, None, 2))


def _present(clip: Clip) -> frozenset[str]:
    is_present = {
        "words": any(utterance.text for utterance in clip.utterances),
        "voice": clip.waveform is not None,
        "faces": clip.face_crops is not None,
        "pictures": clip.frames is not None,
    }
    return frozenset(name for name, present in is_present.items() if present)
