"""Face crops that a data set brings itself: OpenFace's aligned faces in one array, as MERTools saves them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

SPREAD_WARNING = (
    "{faces} aligned faces for {frames} frames: the faces are spread evenly over the clip, since which frames had "
    "none is not known"
)


@dataclass(frozen=True)
class FaceArray:
    """crops: (F, size, size, 3) uint8 RGB. times: (F,) seconds, increasing. warnings: what had to be guessed."""

    crops: np.ndarray
    times: np.ndarray
    warnings: tuple[str, ...] = ()


def read_face_array(path: str | Path, *, frame_times: np.ndarray, size: int, face_fps: float) -> FaceArray:
    """The faces of an array file (N, H, W, 3) uint8, one a frame, in BGR as `cv2.imread` reads them.

    Black pictures, which stand for frames without a face, are left out. Where there are fewer or more faces than
    frames, they are spread evenly over the clip.

    Args:
        frame_times: (M,) seconds of all frames of the video.
        size: side of the crops in pixels.
        face_fps: crops a second; of a denser array as many are taken, spread evenly.
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
    seen = np.array([bool(face.any()) for face in faces], dtype=bool)
    kept = np.flatnonzero(seen)
    kept = kept[thin(times[kept], rate=face_fps)]
    crops = [cv2.resize(faces[index], (size, size), interpolation=cv2.INTER_AREA)[..., ::-1] for index in kept]
    stacked = np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8)
    return FaceArray(crops=np.ascontiguousarray(stacked), times=times[kept], warnings=warnings)


def thin(times: np.ndarray, *, rate: float) -> np.ndarray:
    """Places of at most `rate` times a second: of increasing times (N,) the first in each period.

    Half a thousandth of a period is forgiven, so that 30 fps of a 30 fps video are all of its frames.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    periods = np.floor((times - times[0]) * rate + 5e-4).astype(np.int64)
    return np.unique(periods, return_index=True)[1]
