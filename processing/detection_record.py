"""The detections of one chunk as plain arrays: enough to bring a tracker to where reading the chunk brought it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .detected_faces import FaceDetections
from .face_tracking import FaceTracker


@dataclass(frozen=True)
class DetectionRecord:
    """L frames that were looked at, with M faces in all.

    detection_times: (L,) float64 seconds. detection_counts: (L,) int64 faces of each. boxes (M, 4), landmarks
    (M, 5, 2), scores (M,): float32, frame after frame. thumbnails: (L, 18, 32) float32, of `frame_thumbnail`.
    """

    detection_times: np.ndarray
    detection_counts: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    thumbnails: np.ndarray

    @classmethod
    def of(cls, found: Sequence[tuple[float, FaceDetections, np.ndarray]]) -> DetectionRecord:
        """The record of (time, faces, thumbnail) of each frame."""
        faces = [each for _, each, _ in found]
        return cls(
            detection_times=np.array([time for time, _, _ in found], dtype=np.float64),
            detection_counts=np.array([len(each) for each in faces], dtype=np.int64),
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes for each in faces)]),
            landmarks=np.concatenate([np.zeros((0, 5, 2), np.float32), *(each.landmarks for each in faces)]),
            scores=np.concatenate([np.zeros(0, np.float32), *(each.scores for each in faces)]),
            thumbnails=np.array([thumbnail for _, _, thumbnail in found], dtype=np.float32),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> DetectionRecord:
        """The record whose `arrays` these are; further arrays are left alone."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def replay(self, tracker: FaceTracker) -> None:
        """Gives the tracker these detections, as reading the chunk did."""
        ends = np.cumsum(self.detection_counts)
        for place, time in enumerate(self.detection_times.tolist()):
            part = slice(int(ends[place] - self.detection_counts[place]), int(ends[place]))
            faces = FaceDetections(self.boxes[part], self.landmarks[part], self.scores[part])
            tracker.update(time, faces, thumbnail=self.thumbnails[place])
