"""Reads face crops of a data set: aligned faces from OpenFace in one array, as saved by MERTools."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

SPREAD_WARNING = (
    "{faces} aligned faces for {frames} frames: the faces are spread evenly over the clip, as it is unknown which "
    "frames have none"
)


@dataclass(frozen=True)
class FaceArray:
    """crops: (F, size, size, 3) uint8 RGB. times: (F,) seconds, increasing. warnings: assumptions made in reading."""

    crops: np.ndarray
    times: np.ndarray
    warnings: tuple[str, ...] = ()


def read_face_array(path: str | Path, *, frame_times: np.ndarray, size: int, face_fps: float) -> FaceArray:
    """Reads the faces of an array file (N, H, W, 3) uint8 BGR, one per frame.

    Black images, which represent frames without a face, are skipped. If the numbers of faces and frames differ, the
    faces are spread evenly over the clip.

    Args:
        frame_times: (M,) seconds of all frames of the video.
        size: side of the crops in pixels.
        face_fps: maximum crops per second; a denser array is subsampled evenly.
    """
    if cv2 is None:
        raise ImportError("face arrays need OpenCV: pip install opencv-python-headless")
    faces = np.load(path, mmap_mode="r", allow_pickle=False)
    if faces.ndim != 4 or faces.shape[-1] != 3 or faces.dtype != np.uint8:
        raise ValueError(f"{path} must hold faces (N, H, W, 3) uint8, got {faces.shape} {faces.dtype}")
    if len(frame_times) == 0:
        raise ValueError(f"{path} needs the times of the video's frames, got none")
    times = np.asarray(frame_times, np.float64)
    warnings: tuple[str, ...] = ()
    if len(faces) != len(times):
        warnings = (SPREAD_WARNING.format(faces=len(faces), frames=len(times)),)
        times = np.linspace(times[0], times[-1], len(faces))
    has_face = np.array([bool(face.any()) for face in faces], dtype=bool)
    rows = np.flatnonzero(has_face)
    rows = rows[thin(times[rows], rate=face_fps)]
    crops = [cv2.resize(faces[row], (size, size), interpolation=cv2.INTER_AREA)[..., ::-1] for row in rows]
    stacked = np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8)
    return FaceArray(crops=np.ascontiguousarray(stacked), times=times[rows], warnings=warnings)


def thin(times: np.ndarray, *, rate: float) -> np.ndarray:
    """Returns the indices of the first of the increasing times (N,) in each period of 1 / `rate` seconds.

    A tolerance of 5e-4 periods ensures that a rate of 30 keeps all frames of a 30 fps video.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    periods = np.floor((times - times[0]) * rate + 5e-4).astype(np.int64)
    return np.unique(periods, return_index=True)[1]
