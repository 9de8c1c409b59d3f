"""Settings for reading videos: plain numbers, stored with the processor."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

MIN_LANDMARK_FPS = 5.0


@dataclass(frozen=True)
class ReadingSettings:
    """Arguments of `ClipReader`; raises `ValueError` for invalid values."""

    # Global frames
    num_frames: int = 32  # per clip, or per chunk of a long one
    min_frames_per_utterance: int = 4
    frame_size: int = 224  # px, shortest side; the aspect ratio is kept, frames are never enlarged

    # Faces
    face_fps: float = 15.0  # crops per second: a micro-expression of 0.2 s still gets three
    face_size: int = 112  # px, side of a crop
    faces_everywhere: bool = False  # also between the utterances of a chunk
    detection_fps: float = 7.5  # detection is the most expensive step; landmarks in between are interpolated
    landmark_fps: float = 15.0  # measurements of a face per second; values in between are interpolated
    search_fps: float = 1.5  # searches of the whole frame; in between, known faces are detected in regions of interest
    detection_size: int = 416  # px, longest side of the detector's input
    min_face_size: int = 24  # px of the decoded frame, square root of the box area: smaller faces lack detail
    max_faces: int = 6  # the largest ones of a frame; bounds memory in crowds
    max_picture_side: int = 1280  # px; larger videos are downscaled while decoding
    max_blind_seconds: float = 0.2  # longest gap between crops without a warning; a micro-expression lasts <= 0.5 s

    # Long videos
    max_chunk_seconds: float = 60.0
    recognition_block_seconds: float = 300.0  # of audio in memory at a time

    sampling_rate: int = 16_000
    backend: str | None = None  # "pyav" or "decord"; None: PyAV, which is faster

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
