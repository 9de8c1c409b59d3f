"""Detects known faces in regions of interest (ROIs); the whole frame is searched only periodically.

Detection time grows with the number of pixels, and between two detection frames, an eighth of a second apart, a head
moves little. The whole frame is therefore searched `search_fps` times a second, after a shot change, and whenever a
known face is lost. In between, a small square around each face is enough::

    frames    S  r  r  r  r  S  r  r  S  r ...      S: whole frame, r: ROIs; at the third S a face was lost

Faces found in a whole frame are detected again in their ROI, so that all landmarks come from one scale. Otherwise the
crops would jitter at every search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from .detected_faces import FaceDetections, join_detections
from .face_detection import FaceDetector
from .shot_detection import SHOT_THRESHOLD, thumbnail_difference

EARLY_SECONDS = 0.01  # a search due this soon is made now: frame times are not exact multiples


@runtime_checkable
class SupportsRois(Protocol):
    """A detector that can also detect known faces in regions of interest."""

    def detect(self, frames: np.ndarray) -> list[FaceDetections]: ...

    def detect_in_rois(self, frame: np.ndarray, boxes: np.ndarray) -> list[FaceDetections]:
        """Returns one `FaceDetections` per box of (M, 4), with one face or none."""

    def prefers_rois(self, frame: np.ndarray, *, count: int) -> bool:
        """Whether `count` ROIs cost less than the whole frame."""


class RoiDetector:
    """Detects faces in frames that are given in order of time, in ROIs wherever possible."""

    def __init__(self, detector: FaceDetector, *, search_fps: float) -> None:
        self.detector = detector
        self.search_seconds = 1 / search_fps
        self.last_search = -np.inf
        self.boxes = np.zeros((0, 4), dtype=np.float32)
        self.thumbnail: np.ndarray | None = None

    def detect(
        self, times: np.ndarray, pictures: np.ndarray, *, thumbnails: Sequence[np.ndarray]
    ) -> list[FaceDetections]:
        """Faces of frames (N, H, W, 3) at `times` (N,) seconds; thumbnails: `frame_thumbnail` of each."""
        if not isinstance(self.detector, SupportsRois):
            return self.detector.detect(pictures)
        return [
            self._detect_one(self.detector, float(time), picture, thumbnail)
            for time, picture, thumbnail in zip(times, pictures, thumbnails, strict=True)
        ]

    def _detect_one(
        self, detector: SupportsRois, time: float, picture: np.ndarray, thumbnail: np.ndarray
    ) -> FaceDetections:
        faces = None
        if self._may_use_rois(time, thumbnail) and detector.prefers_rois(picture, count=len(self.boxes)):
            tracked = detector.detect_in_rois(picture, self.boxes)
            if all(len(face) for face in tracked):
                faces = join_detections(tracked)
        if faces is None:
            faces = self._search(detector, picture)
            self.last_search = time
        self.boxes, self.thumbnail = faces.boxes, thumbnail
        return faces

    def _may_use_rois(self, time: float, thumbnail: np.ndarray) -> bool:
        is_due = not 0 <= time - self.last_search < self.search_seconds - EARLY_SECONDS
        if is_due or self.thumbnail is None or len(self.boxes) == 0:
            return False
        return thumbnail_difference(self.thumbnail, thumbnail) < SHOT_THRESHOLD

    def _search(self, detector: SupportsRois, picture: np.ndarray) -> FaceDetections:
        faces = detector.detect(picture[None])[0]
        if len(faces) == 0 or not detector.prefers_rois(picture, count=len(faces)):
            return faces
        refined = detector.detect_in_rois(picture, faces.boxes)
        return join_detections([face if len(face) else faces.row(index) for index, face in enumerate(refined)])
