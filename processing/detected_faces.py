"""Face detections of one frame, box overlaps and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OVERLAP_THRESHOLD = 0.3  # boxes with a higher intersection over union are the same face


@dataclass(frozen=True)
class FaceDetections:
    """The M faces of one frame, best first.

    boxes: (M, 4) float32 xyxy pixels, inside the frame.
    landmarks: (M, 5, 2) float32 pixels: left eye, right eye, nose, left and right corner of the mouth, as seen in the
        image; NaN where unknown.
    scores: (M,) float32 in [0, 1].
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scores)
        for name, shape in {"boxes": (count, 4), "landmarks": (count, 5, 2), "scores": (count,)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.scores)

    def row(self, index: int) -> FaceDetections:
        """A single face; empty if `index` is the number of faces."""
        part = slice(index, index + 1)
        return FaceDetections(self.boxes[part], self.landmarks[part], self.scores[part])


def join_detections(faces: Sequence[FaceDetections]) -> FaceDetections:
    """Joins faces that were detected separately; of duplicates the better one is kept."""
    joined = FaceDetections(
        np.concatenate([face.boxes for face in faces]),
        np.concatenate([face.landmarks for face in faces]),
        np.concatenate([face.scores for face in faces]),
    )
    order = distinct_faces(joined)
    return FaceDetections(joined.boxes[order], joined.landmarks[order], joined.scores[order])


def keep_best(faces: FaceDetections, *, scale: float, width: int, height: int) -> FaceDetections:
    """Non-maximum suppression, conversion to frame pixels and clipping to the frame; best score first."""
    selected = distinct_faces(faces)
    limits = np.array([width, height, width, height], dtype=np.float32)
    boxes = np.clip(faces.boxes[selected] / scale, 0, limits).astype(np.float32)
    return FaceDetections(
        boxes=boxes,
        landmarks=(faces.landmarks[selected] / scale).astype(np.float32),
        scores=np.clip(faces.scores[selected], 0, 1),
    )


def distinct_faces(faces: FaceDetections) -> list[int]:
    """Indices of the faces left by non-maximum suppression, best score first."""
    duplicates = box_overlaps(faces.boxes, faces.boxes) > OVERLAP_THRESHOLD  # (M, M)
    remaining = np.argsort(-faces.scores, kind="stable")
    selected: list[int] = []
    while len(remaining):
        best = int(remaining[0])
        selected.append(best)
        remaining = remaining[1:][~duplicates[best, remaining[1:]]]
    return selected


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of (M, 4) with every box of (N, 4), xyxy: (M, N)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)  # (M, N)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-9), 0.0)
