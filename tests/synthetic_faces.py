"""Faces for tests: an animated portrait (the astronaut of scikit-image), and a detector of red squares."""

from __future__ import annotations

import cv2
import numpy as np
import skimage.data

from microemo.processing.face_detection import FaceDetections

PORTRAIT_ROWS, PORTRAIT_COLUMNS = slice(20, 220), slice(125, 325)  # head and shoulders in the photograph
MOUTH_CENTRE = (97, 124)  # px, x and y in the portrait
SQUARE_TEMPLATE = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])  # landmarks in a red square


def portrait(*, mouth_open: float = 0.0) -> np.ndarray:
    """(200, 200, 3) uint8 RGB: the astronaut's head, her mouth opened by a dark ellipse, from 0 to 1."""
    picture = skimage.data.astronaut()[PORTRAIT_ROWS, PORTRAIT_COLUMNS].copy()
    if mouth_open > 0:
        axes = (11, max(1, round(9 * mouth_open)))
        cv2.ellipse(picture, MOUTH_CENTRE, axes, 0, 0, 360, (60, 20, 20), -1)
    return picture


def place(picture: np.ndarray, *, on: np.ndarray, left: int, top: int) -> None:
    """Pastes a picture into a frame, in place; parts beyond the frame are cropped."""
    height, width = on.shape[:2]
    rows, columns = slice(max(top, 0), min(top + len(picture), height)), slice(max(left, 0), left + picture.shape[1])
    target = on[rows, columns]
    target[:] = picture[rows.start - top :, columns.start - left :][: target.shape[0], : target.shape[1]]


def background(*, height: int = 240, width: int = 320) -> np.ndarray:
    """A smooth wall without a face."""
    column = np.linspace(90, 150, width)[None, :, None]
    return np.broadcast_to(column + np.array([0, 5, 20]), (height, width, 3)).astype(np.uint8).copy()


def drifting_portrait(*, count: int = 50, pixels_per_frame: float = 1.0) -> np.ndarray:
    """(count, 240, 320, 3): the head moves to the right in front of the wall."""
    frames = []
    for index in range(count):
        frame = background()
        place(portrait(), on=frame, left=round(10 + index * pixels_per_frame), top=30)
        frames.append(frame)
    return np.stack(frames)


class RedSquareDetector:
    """Finds the red squares of `synthetic_media.moving_squares`; each connected one is a face."""

    def __init__(self) -> None:
        self.frames_seen = 0

    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        self.frames_seen += len(frames)
        return [self._detect_one(frame) for frame in frames]

    def _detect_one(self, frame: np.ndarray) -> FaceDetections:
        red = (frame[..., 0] > 150) & (frame[..., 1] < 110) & (frame[..., 2] < 110)
        _, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
        found = [row for row in stats[1:] if row[cv2.CC_STAT_AREA] > 50]
        boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in found], dtype=np.float32).reshape(-1, 4)
        sizes = boxes[:, None, 2:] - boxes[:, None, :2]
        landmarks = boxes[:, None, :2] + SQUARE_TEMPLATE * sizes
        return FaceDetections(boxes, landmarks.astype(np.float32), np.ones(len(boxes), dtype=np.float32))
