"""Facial actions, head pose and gaze of every face crop of a chunk.

The landmark networks are more expensive than cropping, so each face is measured `landmark_fps` times a second, while
its frame is in memory. The crops between two measurements get interpolated values::

    crops of one face      c  c  c  c  c  c  -  -  c  c      c: a crop, -: no face
    measured               m  .  m  .  m  .        m  .      m: measured
    result                 m  i  m  i  m  h        m  h      i: interpolated, h: held; nothing across the gap

Values are only interpolated within one face track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .face_landmarks import NUM_ACTIONS, FaceMesh, Landmarker
from .head_pose import gaze, head_pose
from .reading_settings import MIN_LANDMARK_FPS

MAX_GAP_SECONDS = 1 / MIN_LANDMARK_FPS  # between two measurements; longer gaps are not interpolated
HOLD_SECONDS = 0.07  # a value is held this long before and after a gap
EARLY_SECONDS = 0.01  # a measurement due this soon is made now: frame times are not exact multiples


@dataclass(frozen=True)
class FaceReadings:
    """Measurements of F crops.

    actions: (F, 52) float32 in [0, 1], named in `facial_actions`.
    head_pose: (F, 3) float32 degrees: pitch, yaw, roll. gaze: (F, 2) float32 degrees: yaw, pitch. See `head_pose`.
    mask: (F,) bool, False where nothing was measured; the values there are zero.
    """

    actions: np.ndarray
    head_pose: np.ndarray
    gaze: np.ndarray
    mask: np.ndarray

    @classmethod
    def from_rows(cls, rows: np.ndarray, mask: np.ndarray) -> FaceReadings:
        """From (F, 57) concatenated values, the inverse of `rows`."""
        return cls(rows[:, :NUM_ACTIONS], rows[:, NUM_ACTIONS:-2], rows[:, -2:], mask)

    def rows(self) -> np.ndarray:
        """(F, 57): all values concatenated."""
        return np.concatenate([self.actions, self.head_pose, self.gaze], axis=1)

    def take(self, subset: np.ndarray | slice) -> FaceReadings:
        """A subset of the crops."""
        return FaceReadings(self.actions[subset], self.head_pose[subset], self.gaze[subset], self.mask[subset])


@dataclass
class _FaceMeasurements:
    """One face: its last measurement time and mesh, and all measurements."""

    last_seconds: float
    mesh: FaceMesh
    times: list[float]
    rows: list[np.ndarray]


class FaceMeasurer:
    """Measures the faces of one chunk, in order of time."""

    def __init__(self, landmarker: Landmarker, *, landmark_fps: float) -> None:
        self.landmarker = landmarker
        self.spacing_seconds = 1 / landmark_fps
        self.faces: dict[int, _FaceMeasurements] = {}

    def measure(self, time: float, picture: np.ndarray, *, track_id: int, five_points: np.ndarray) -> None:
        """Measures the face of a track in the frame (H, W, 3) at `time`, if a measurement is due."""
        face = self.faces.get(track_id)
        if face is not None and time - face.last_seconds < self.spacing_seconds - EARLY_SECONDS:
            return
        is_recent = face is not None and time - face.last_seconds <= MAX_GAP_SECONDS
        mesh = self.landmarker.analyze(picture, five_points, previous=face.mesh if face and is_recent else None)
        if face is None:
            face = self.faces[track_id] = _FaceMeasurements(time, mesh, [], [])
        face.last_seconds, face.mesh = time, mesh
        if mesh.is_face:
            face.times.append(time)
            face.rows.append(np.concatenate([mesh.actions, head_pose(mesh.points), gaze(mesh.points)]))

    def readings(self, times: np.ndarray, track_ids: np.ndarray) -> FaceReadings:
        """Values for the crops at `times` (F,) of the tracks `track_ids` (F,)."""
        rows = np.zeros((len(times), NUM_ACTIONS + 5), np.float32)
        mask = np.zeros(len(times), bool)
        for track_id, face in self.faces.items():
            of_track = np.flatnonzero(track_ids == track_id)
            if face.times:
                rows[of_track], mask[of_track] = interpolate(times[of_track], face.times, face.rows)
        return FaceReadings.from_rows(rows, mask)


def interpolate(
    times: np.ndarray, measured_times: Sequence[float], measured: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates the values of one face at `times` (F,).

    Args:
        measured_times: M > 0 times, increasing.
        measured: M arrays (D,).

    Returns:
        (F, D) float32, zero where unknown, and (F,) bool, True where known.
    """
    known_times, values = np.asarray(measured_times, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    after = np.searchsorted(known_times, times)
    before = np.clip(
        np.where(known_times[np.minimum(after, len(known_times) - 1)] == times, after, after - 1),
        0,
        len(known_times) - 1,
    )
    after = np.clip(after, 0, len(known_times) - 1)
    gap = known_times[after] - known_times[before]
    nearest = np.where(np.abs(times - known_times[before]) <= np.abs(times - known_times[after]), before, after)
    between = (gap > 0) & (gap <= MAX_GAP_SECONDS)
    fraction = np.where(between, (times - known_times[before]) / np.where(gap > 0, gap, 1), 0.0)[:, None]
    rows = np.where(between[:, None], (1 - fraction) * values[before] + fraction * values[after], values[nearest])
    mask = between | (np.abs(times - known_times[nearest]) <= HOLD_SECONDS)
    return np.where(mask[:, None], rows, 0).astype(np.float32), mask
