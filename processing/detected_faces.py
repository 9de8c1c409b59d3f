"""The faces found in a frame as a value, and what is done with boxes: overlaps, and which of several are one face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

OVERLAP_THRESHOLD = 0.3  # boxes that share more than this part are one face


@dataclass(frozen=True)
class FaceDetections:
    """The M faces of one frame, best first.

    boxes: (M, 4) float32 xyxy pixels, inside the frame. landmarks: (M, 5, 2) float32 pixels: left eye, right eye,
        nose,
    left and right corner of the mouth, as seen in the picture; NaN where unknown. scores: (M,) float32 in [0, 1].
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

    def row(self, place: int) -> FaceDetections:
        """One face alone."""
        part = slice(place, place + 1)
        return FaceDetections(self.boxes[part], self.landmarks[part], self.scores[part])


def join_detections(faces: Sequence[FaceDetections]) -> FaceDetections:
    """The faces of one frame that were found one by one; of two that are the same the better one."""
    joined = FaceDetections(
        np.concatenate([face.boxes for face in faces]),
        np.concatenate([face.landmarks for face in faces]),
        np.concatenate([face.scores for face in faces]),
    )
    order = distinct_faces(joined)
    return FaceDetections(joined.boxes[order], joined.landmarks[order], joined.scores[order])


def keep_best(faces: FaceDetections, *, scale: float, width: int, height: int) -> FaceDetections:
    """Non-maximum suppression, then frame pixels, boxes cut to the frame; best score first."""
    kept = distinct_faces(faces)
    limits = np.array([width, height, width, height], dtype=np.float32)
    boxes = np.clip(faces.boxes[kept] / scale, 0, limits).astype(np.float32)
    return FaceDetections(
        boxes=boxes,
        landmarks=(faces.landmarks[kept] / scale).astype(np.float32),
        scores=np.clip(faces.scores[kept], 0, 1),
    )


def distinct_faces(faces: FaceDetections) -> list[int]:
    """Places of the faces that are left by non-maximum suppression, best score first."""
    same = box_overlaps(faces.boxes, faces.boxes) > OVERLAP_THRESHOLD  # (M, M)
    waiting = np.argsort(-faces.scores, kind="stable")
    kept: list[int] = []
    while len(waiting):
        best = int(waiting[0])
        kept.append(best)
        waiting = waiting[1:][~same[best, waiting[1:]]]
    return kept


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of (M, 4) with every box of (N, 4), xyxy: (M, N)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)  # (M, N)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-9), 0.0)
