"""Face detections of one chunk as plain arrays, from which a tracker's state can be restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from .detected_faces import FaceDetections
from .face_tracking import FaceTracker


@dataclass(frozen=True)
class DetectionRecord:
    """Detections of L frames with M faces in total.

    detection_times: (L,) float64 seconds. detection_counts: (L,) int64 faces per frame.
    boxes (M, 4), landmarks (M, 5, 2), scores (M,): float32, frame by frame.
    thumbnails: (L, 18, 32) float32, of `frame_thumbnail`.
    """

    detection_times: np.ndarray
    detection_counts: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    thumbnails: np.ndarray

    @classmethod
    def of(cls, detections: Sequence[tuple[float, FaceDetections, np.ndarray]]) -> DetectionRecord:
        """From (time, faces, thumbnail) of each frame."""
        faces = [each for _, each, _ in detections]
        return cls(
            detection_times=np.array([time for time, _, _ in detections], dtype=np.float64),
            detection_counts=np.array([len(each) for each in faces], dtype=np.int64),
            boxes=np.concatenate([np.zeros((0, 4), np.float32), *(each.boxes for each in faces)]),
            landmarks=np.concatenate([np.zeros((0, 5, 2), np.float32), *(each.landmarks for each in faces)]),
            scores=np.concatenate([np.zeros(0, np.float32), *(each.scores for each in faces)]),
            thumbnails=np.array([thumbnail for _, _, thumbnail in detections], dtype=np.float32),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> DetectionRecord:
        """The inverse of `arrays`; other arrays are ignored."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def replay(self, tracker: FaceTracker) -> None:
        """Updates the tracker with these detections."""
        ends = np.cumsum(self.detection_counts)
        for index, time in enumerate(self.detection_times.tolist()):
            part = slice(int(ends[index] - self.detection_counts[index]), int(ends[index]))
            faces = FaceDetections(self.boxes[part], self.landmarks[part], self.scores[part])
            tracker.update(time, faces, thumbnail=self.thumbnails[index])
