"""How densely and how large a video is looked at: plain numbers, so that they can be saved with a processor."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

MIN_LANDMARK_FPS = 5.0


@dataclass(frozen=True)
class ReadingSettings:
    """Arguments of `ClipReader`; raises `ValueError` for a number that makes no sense."""

    # Global frames
    num_frames: int = 32  # spread over a clip (or a chunk of a long one)
    min_frames_per_utterance: int = 4
    frame_size: int = 224  # px, shortest side; the aspect is kept, never enlarged

    # Faces
    face_fps: float = 15.0  # crops a second: a micro-expression of 0.2 s still gets three
    face_size: int = 112  # px, side of a crop
    faces_everywhere: bool = False  # also between the utterances of a chunk
    detection_fps: float = 7.5  # the detector costs most; landmarks in between are interpolated
    landmark_fps: float = 15.0  # measurements of a face a second; what lies between is interpolated
    search_fps: float = 1.5  # looks at the whole frame; in between, a detector that can follows the faces it knows
    detection_size: int = 416  # px, longest side at the detector
    min_face_size: int = 24  # px of the decoded picture, root of the box area: below, 112 px are invention
    max_faces: int = 6  # largest ones of a frame; bounds memory in a crowd
    max_picture_side: int = 1280  # px; larger videos are decoded to this
    max_blind_seconds: float = 0.2  # between crops; more may hide a micro-expression (<= 0.5 s), so it is warned of

    # Long videos
    max_chunk_seconds: float = 60.0
    recognition_block_seconds: float = 300.0  # of sound in memory at a time

    sampling_rate: int = 16_000
    backend: str | None = None  # "pyav", "decord"; None: PyAV, the faster one

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            allowed_zero = setting.name in ("num_frames", "min_frames_per_utterance", "min_face_size")
            if not math.isfinite(value) or value < 0 or (value == 0 and not allowed_zero):
                raise ValueError(f"{setting.name} must be {'>= 0' if allowed_zero else '> 0'} and finite, got {value}")
        if self.landmark_fps < min(self.face_fps, MIN_LANDMARK_FPS):
            raise ValueError(
                f"landmark_fps ({self.landmark_fps:g}) must be >= {MIN_LANDMARK_FPS:g}, or face_fps "
                f"({self.face_fps:g}) where that is less: over longer gaps nothing is interpolated"
            )
        if self.detection_fps > self.face_fps:
            raise ValueError(
                f"detection_fps ({self.detection_fps:g}) must be <= face_fps ({self.face_fps:g}): "
                "faces are detected on frames that are cropped"
            )
