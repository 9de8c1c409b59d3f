"""Faces that are known are looked for where they were; the whole frame is searched only now and then.

A detector's time goes with the pixels it sees, and from one look to the next, an eighth of a second, a head moves by
little. So the whole frame is searched `search_fps` times a second, after a cut, and where a known face is lost; in
between a small square around each face is enough::

    frames looked at   S  f  f  f  f  S  f  f  S  f ...      S: searched, f: followed; the third S: a face was lost

What a search finds is looked at once more in its square, so that all landmarks come from the same scale: a crop must
not twitch with the rhythm of the searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from .camera_views import SHOT_CHANGE, view_difference
from .detected_faces import FaceDetections, join_detections
from .face_detection import FaceDetector

EARLY_SECONDS = 0.01  # a search that is due this soon is made now: frame times are not exact multiples


@runtime_checkable
class FollowingDetector(Protocol):
    """A detector that can also look for known faces where they were."""

    def detect(self, frames: np.ndarray) -> list[FaceDetections]: ...

    def detect_near(self, frame: np.ndarray, boxes: np.ndarray) -> list[FaceDetections]:
        """For each of the boxes (M, 4) the face there: `FaceDetections` of one face, or of none."""

    def follows(self, frame: np.ndarray, *, count: int) -> bool:
        """Whether to follow `count` faces costs less than to search the frame."""


class FaceFollower:
    """Detections of frames in order of time, with the detector's time spent where faces are."""

    def __init__(self, detector: FaceDetector, *, search_fps: float) -> None:
        self.detector = detector
        self.search_seconds = 1 / search_fps
        self.searched_at = -np.inf
        self.boxes = np.zeros((0, 4), dtype=np.float32)
        self.thumbnail: np.ndarray | None = None

    def detect(
        self, times: np.ndarray, pictures: np.ndarray, *, thumbnails: Sequence[np.ndarray]
    ) -> list[FaceDetections]:
        """The faces of pictures (N, H, W, 3) shown at `times` (N,) seconds, with their `view_thumbnail`."""
        if not isinstance(self.detector, FollowingDetector):
            return self.detector.detect(pictures)
        return [
            self._detect_one(self.detector, float(time), picture, thumbnail)
            for time, picture, thumbnail in zip(times, pictures, thumbnails, strict=True)
        ]

    def _detect_one(
        self, detector: FollowingDetector, time: float, picture: np.ndarray, thumbnail: np.ndarray
    ) -> FaceDetections:
        faces = None
        if self._may_follow(time, thumbnail) and detector.follows(picture, count=len(self.boxes)):
            near = detector.detect_near(picture, self.boxes)
            if all(len(face) for face in near):
                faces = join_detections(near)
        if faces is None:
            faces = self._search(detector, picture)
            self.searched_at = time
        self.boxes, self.thumbnail = faces.boxes, thumbnail
        return faces

    def _may_follow(self, time: float, thumbnail: np.ndarray) -> bool:
        is_due = not 0 <= time - self.searched_at < self.search_seconds - EARLY_SECONDS
        if is_due or self.thumbnail is None or len(self.boxes) == 0:
            return False
        return view_difference(self.thumbnail, thumbnail) < SHOT_CHANGE

    def _search(self, detector: FollowingDetector, picture: np.ndarray) -> FaceDetections:
        found = detector.detect(picture[None])[0]
        if len(found) == 0 or not detector.follows(picture, count=len(found)):
            return found
        near = detector.detect_near(picture, found.boxes)
        return join_detections([face if len(face) else found.row(place) for place, face in enumerate(near)])
