"""Face tracks from boxes given by the user, instead of a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from .clip import FaceTrack
from .face_cropping import landmarks_from_boxes

# Rows of (seconds, left, top, right, bottom): one array for one person, or one per track id.
FaceBoxes: TypeAlias = "np.ndarray | Sequence[Sequence[float]] | Mapping[int, np.ndarray | Sequence[Sequence[float]]]"


def tracks_from_boxes(face_boxes: FaceBoxes) -> tuple[FaceTrack, ...]:
    """Returns one `FaceTrack` per person, with the landmarks of an upright face in each box.

    Args:
        face_boxes: (N, 5) rows of seconds, left, top, right, bottom in pixels of the displayed frame; or a mapping of
            track ids to such rows.
    """
    people = face_boxes if isinstance(face_boxes, Mapping) else {0: face_boxes}
    return tuple(_track(track_id, rows=np.asarray(rows, dtype=np.float64)) for track_id, rows in people.items())


def _track(track_id: int, *, rows: np.ndarray) -> FaceTrack:
    if rows.ndim != 2 or rows.shape[1] != 5 or len(rows) == 0:
        raise ValueError(f"face_boxes must have rows of (seconds, left, top, right, bottom), got shape {rows.shape}")
    if not np.all(np.isfinite(rows)):
        raise ValueError("face_boxes must be finite")
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    boxes = rows[:, 1:]
    if np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise ValueError("face_boxes must have right > left and bottom > top")
    return FaceTrack(
        track_id=track_id,
        times=rows[:, 0],
        boxes=boxes.astype(np.float32),
        landmarks=landmarks_from_boxes(boxes).astype(np.float32),
        scores=np.ones(len(rows), dtype=np.float32),
    )


def boxed_landmarks_at(tracks: Sequence[FaceTrack], *, time: float) -> dict[int, np.ndarray]:
    """Linearly interpolated landmarks (5, 2) by track id; none before the first or after the last box."""
    present = {}
    for track in tracks:
        if track.times[0] <= time <= track.times[-1]:
            flat = track.landmarks.reshape(len(track.times), 10)
            values = [np.interp(time, track.times, column) for column in flat.T]
            present[track.track_id] = np.array(values).reshape(5, 2)
    return present
