"""Square crop of a photograph around the face, with padding if the photograph is too small."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FACE_SHARE = 0.46  # face height relative to the frame, if the photograph is large enough
LARGEST_FACE_SHARE = 0.72  # photographs with a larger face are padded
BLUR_SHARES = (0.012, 0.04)  # blur of the padding near the photograph and farther away, relative to the frame


@dataclass(frozen=True)
class Window:
    """A square in whole pixels that may extend beyond the photograph."""

    left: int
    top: int
    side: int


def choose_window(oval: np.ndarray, *, shape: tuple[int, int]) -> Window:
    """Chooses the square around a face.

    Args:
        oval: (n, 2) outline of the face, pixels.
        shape: (height, width) of the photograph.
    """
    face = float(np.ptp(oval[:, 1]))
    height, width = shape
    side = round(max(min(face / FACE_SHARE, height, width), face / LARGEST_FACE_SHARE))
    middle = (oval.min(0) + oval.max(0)) / 2
    left, top = (round(float(position) - side / 2) for position in middle)
    return Window(_inside(left, side=side, length=width), _inside(top, side=side, length=height), side)


def _inside(start: int, *, side: int, length: int) -> int:
    """Shifts the start so that the window is inside of the photograph, if it fits."""
    return start if side > length else int(np.clip(start, 0, length - side))


def cut_window(picture: np.ndarray, *, window: Window) -> np.ndarray:
    """Crops (side, side, ...) of the picture; beyond its edges it is mirrored and blurred."""
    height, width = picture.shape[:2]
    before = max(0, -window.top), max(0, -window.left)
    after = max(0, window.top + window.side - height), max(0, window.left + window.side - width)
    top, left = window.top + before[0], window.left + before[1]
    if not any(before + after):
        return picture[top : top + window.side, left : left + window.side]
    padded = cv2.copyMakeBorder(picture, before[0], after[0], before[1], after[1], cv2.BORDER_REFLECT_101)
    known = cv2.copyMakeBorder(
        np.ones((height, width), np.float32), before[0], after[0], before[1], after[1], cv2.BORDER_CONSTANT, value=0
    )
    square = (slice(top, top + window.side), slice(left, left + window.side))
    padded, known = padded[square], np.ascontiguousarray(known[square])
    near, far = (cv2.GaussianBlur(padded, (0, 0), share * window.side) for share in BLUR_SHARES)
    distance = cv2.distanceTransform((known < 0.5).astype(np.uint8), cv2.DIST_L2, 3) / window.side
    softness = np.clip(distance / (2 * BLUR_SHARES[1]), 0, 1)
    edge = np.clip(distance / BLUR_SHARES[0], 0, 1)
    if padded.ndim == 3:
        softness, edge = softness[..., None], edge[..., None]
    surroundings = near + softness * (far.astype(np.float32) - near)
    return (padded + edge * (surroundings - padded)).astype(picture.dtype)
