"""What the faces of a chunk show besides their crops: facial actions, head pose and gaze, at every crop.

The landmark nets cost more than a crop, so each face is measured `landmark_fps` times a second, while its frame is at
hand, and the crops between two measurements get what lies between them::

    crops of one face      c  c  c  c  c  c  -  -  c  c      c: a crop, -: the face is away
    measured               m  .  m  .  m  .        m  .      m: measured
    read                   r  i  r  i  r  h        r  h      i: interpolated, h: held; across the gap nothing

A face is only ever compared with itself: numbers of two people are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .face_landmarks import NUM_ACTIONS, FaceMesh, Landmarker
from .head_pose import gaze, head_pose
from .reading_settings import MIN_LANDMARK_FPS

MAX_GAP_SECONDS = 1 / MIN_LANDMARK_FPS  # between two measurements; what happens in a longer one is not known
HOLD_SECONDS = 0.07  # beyond the last measurement before a gap, or the first after it
EARLY_SECONDS = 0.01  # a measurement that is due this soon is made now: frame times are not exact multiples


@dataclass(frozen=True)
class FaceReadings:
    """What is known of F crops.

    actions: (F, 52) float32 in [0, 1], named in `facial_actions`. head_pose: (F, 3) float32 degrees: pitch, yaw, roll;
    gaze: (F, 2) float32 degrees: yaw, pitch; both as in `head_pose`. mask: (F,) bool, False where the face was not
    measured: the numbers there are zero.
    """

    actions: np.ndarray
    head_pose: np.ndarray
    gaze: np.ndarray
    mask: np.ndarray

    @classmethod
    def from_rows(cls, rows: np.ndarray, mask: np.ndarray) -> FaceReadings:
        """Of (F, 57) numbers side by side."""
        return cls(rows[:, :NUM_ACTIONS], rows[:, NUM_ACTIONS:-2], rows[:, -2:], mask)

    def rows(self) -> np.ndarray:
        """(F, 57): all numbers side by side."""
        return np.concatenate([self.actions, self.head_pose, self.gaze], axis=1)

    def take(self, chosen: np.ndarray | slice) -> FaceReadings:
        """Those of some of the crops."""
        return FaceReadings(self.actions[chosen], self.head_pose[chosen], self.gaze[chosen], self.mask[chosen])


@dataclass
class _Measured:
    """One face: when it was measured last, its mesh then, and all that was found."""

    last_seconds: float
    mesh: FaceMesh
    times: list[float]
    rows: list[np.ndarray]


class FaceMeasurer:
    """Measures the faces of one chunk, in order of time."""

    def __init__(self, landmarker: Landmarker, *, landmark_fps: float) -> None:
        self.landmarker = landmarker
        self.spacing_seconds = 1 / landmark_fps
        self.faces: dict[int, _Measured] = {}

    def look(self, time: float, picture: np.ndarray, *, track_id: int, five_points: np.ndarray) -> None:
        """Measures the face of a track in the picture (H, W, 3) at `time`, where that is due."""
        face = self.faces.get(track_id)
        if face is not None and time - face.last_seconds < self.spacing_seconds - EARLY_SECONDS:
            return
        is_recent = face is not None and time - face.last_seconds <= MAX_GAP_SECONDS
        mesh = self.landmarker.analyze(picture, five_points, previous=face.mesh if face and is_recent else None)
        if face is None:
            face = self.faces[track_id] = _Measured(time, mesh, [], [])
        face.last_seconds, face.mesh = time, mesh
        if mesh.is_face:
            face.times.append(time)
            face.rows.append(np.concatenate([mesh.actions, head_pose(mesh.points), gaze(mesh.points)]))

    def readings(self, times: np.ndarray, track_ids: np.ndarray) -> FaceReadings:
        """At the crops shown at `times` (F,) of the tracks `track_ids` (F,)."""
        rows = np.zeros((len(times), NUM_ACTIONS + 5), np.float32)
        mask = np.zeros(len(times), bool)
        for track_id, face in self.faces.items():
            mine = np.flatnonzero(track_ids == track_id)
            if face.times:
                rows[mine], mask[mine] = interpolate(times[mine], face.times, face.rows)
        return FaceReadings.from_rows(rows, mask)


def interpolate(
    times: np.ndarray, measured_times: Sequence[float], measured: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of one face at `times` (F,), and where they are known: (F, D) float32, zero where unknown, (F,) bool.

    Args:
        measured_times: M > 0 moments, increasing.
        measured: M arrays (D,).
    """
    known, values = np.asarray(measured_times, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    after = np.searchsorted(known, times)
    before = np.clip(np.where(known[np.minimum(after, len(known) - 1)] == times, after, after - 1), 0, len(known) - 1)
    after = np.clip(after, 0, len(known) - 1)
    gap = known[after] - known[before]
    nearest = np.where(np.abs(times - known[before]) <= np.abs(times - known[after]), before, after)
    between = (gap > 0) & (gap <= MAX_GAP_SECONDS)
    share = np.where(between, (times - known[before]) / np.where(gap > 0, gap, 1), 0.0)[:, None]
    rows = np.where(between[:, None], (1 - share) * values[before] + share * values[after], values[nearest])
    mask = between | (np.abs(times - known[nearest]) <= HOLD_SECONDS)
    return np.where(mask[:, None], rows, 0).astype(np.float32), mask
