"""Hides streams of a clip at random, so that no stream can be left unused because another one is easier."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from microemo.processing.clip import Clip

HIDDEN = "hidden while training"
FACE_RATE = "face_rate"


@dataclass(frozen=True)
class StreamDropout:
    """How often each stream of a clip is hidden, 0..1. faces: the crops alone. pictures: frames and crops.

    face_rate: how often every second crop is left out, so that one model serves several rates.
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
        """Which streams are hidden this time, by torch's generator: a run that is resumed draws the same."""
        names = [entry.name for entry in fields(self)]
        chances = torch.rand(len(names)).tolist()
        return frozenset(name for name, chance in zip(names, chances, strict=True) if chance < getattr(self, name))


def hide_streams(clip: Clip, *, hidden: frozenset[str], reason: str = HIDDEN) -> Clip:
    """The clip without the hidden streams; the one that is left last stays, since an empty clip teaches nothing.

    Args:
        reason: that the clip names for their absence.
    """
    present = _present(clip)
    left = present - hidden - ({"faces"} if "pictures" in hidden else frozenset())
    if not present & hidden or not left:
        return clip
    missing_reasons = {**clip.missing_reasons}
    if "words" in hidden:
        clip = replace(clip, utterances=tuple(replace(each, text="") for each in clip.utterances))
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
    """The clip as if its face had been looked at half as often."""
    return clip if clip.face_crops is None else clip.take_faces(slice(None, None, 2))


def _present(clip: Clip) -> frozenset[str]:
    there = {
        "words": any(each.text for each in clip.utterances),
        "voice": clip.waveform is not None,
        "faces": clip.face_crops is not None,
        "pictures": clip.frames is not None,
    }
    return frozenset(name for name, is_there in there.items() if is_there)
