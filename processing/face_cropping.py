"""Aligned face crops: a similarity transform from five landmarks, and a warp. Pure functions.

The matrix maps the frame to the unit square, so one matrix serves every crop size.
"""

from __future__ import annotations

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

# ArcFace's 112 px template: left eye, right eye, nose, left and right corner of the mouth, relative to its side.
ARCFACE_TEMPLATE = (
    np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
    / 112
)
# ArcFace's crop cuts off the chin of an open mouth and raised brows, which matter for expressions. This margin, added
# at every edge and relative to the side, includes both; a larger one would waste pixels on hair and background.
CROP_MARGIN = 0.1
CROP_TEMPLATE = (ARCFACE_TEMPLATE + CROP_MARGIN) / (1 + 2 * CROP_MARGIN)  # (5, 2) in the unit square of the crop

# The same five points relative to a tight box (hairline to chin), for faces known only by their box.
BOX_TEMPLATE = np.array([[0.28, 0.38], [0.72, 0.38], [0.50, 0.565], [0.32, 0.72], [0.68, 0.72]])

MAX_SHRINK = 2.0  # a bilinear warp reads 2x2 pixels: beyond this it skips pixels and the crops flicker


def landmarks_from_boxes(boxes: np.ndarray) -> np.ndarray:
    """Five landmarks (..., 5, 2) of an upright face in each box (..., 4) xyxy."""
    boxes = np.asarray(boxes, dtype=np.float64)
    corner, far_corner = boxes[..., None, :2], boxes[..., None, 2:]  # (..., 1, 2)
    return corner + BOX_TEMPLATE * (far_corner - corner)


def alignment_matrix(landmarks: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform (shift, rotation, scale; no reflection) of landmarks to the crop's template.

    Args:
        landmarks: (..., 5, 2) pixels of the frame; left eye, right eye, nose, left and right corner of the mouth.

    Returns:
        (..., 2, 3) float64: frame pixels -> unit square of the crop.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape[-2:] != (5, 2):
        raise ValueError(f"landmarks must have shape (..., 5, 2), got {points.shape}")
    if not np.all(np.isfinite(points)):
        raise ValueError("landmarks must be finite; fill unseen ones with landmarks_from_boxes")
    # In complex numbers, a similarity is one factor and one shift: z -> a z + b.
    source = points[..., 0] + 1j * points[..., 1]  # (..., 5)
    target = CROP_TEMPLATE[:, 0] + 1j * CROP_TEMPLATE[:, 1]  # (5,)
    source_mean, target_mean = source.mean(axis=-1, keepdims=True), target.mean()
    spread = np.sum(np.abs(source - source_mean) ** 2, axis=-1)
    if np.any(spread == 0):
        raise ValueError("landmarks must not all be the same point")
    factor = np.sum(np.conj(source - source_mean) * (target - target_mean), axis=-1) / spread
    shift = target_mean - factor * source_mean[..., 0]
    first_row = np.stack([factor.real, -factor.imag, shift.real], axis=-1)
    second_row = np.stack([factor.imag, factor.real, shift.imag], axis=-1)
    return np.stack([first_row, second_row], axis=-2)


def crop_face(frame: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Aligned crop, (size, size, 3) uint8; black outside the frame.

    Args:
        frame: (H, W, 3) uint8.
        matrix: (2, 3) of `alignment_matrix`.
        size: side of the crop in pixels.
    """
    if cv2 is None:
        raise ImportError("cropping faces needs OpenCV: pip install opencv-python")
    if size < 1:
        raise ValueError(f"size must be >= 1, got {size}")
    to_crop = np.asarray(matrix, dtype=np.float64) * size  # frame pixels -> crop pixels
    shrink = 1 / np.hypot(to_crop[0, 0], to_crop[1, 0])
    if shrink > MAX_SHRINK:
        frame, to_crop = _shrink_region(frame, to_crop, shrink=shrink, size=size)
        if frame.size == 0:
            return np.zeros((size, size, 3), dtype=np.uint8)
    # OpenCV's origin is the centre of the first pixel, ours is its corner.
    half = np.array([0.5, 0.5])
    to_crop = to_crop.copy()
    to_crop[:, 2] += to_crop[:, :2] @ half - half
    return cv2.warpAffine(frame, to_crop, (size, size), flags=cv2.INTER_LINEAR)


def _shrink_region(
    frame: np.ndarray, to_crop: np.ndarray, *, shrink: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Area-averages the part of the frame under the crop to about the crop's scale; returns it with its matrix."""
    linear, shift = to_crop[:, :2], to_crop[:, 2]
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], dtype=np.float64)
    in_frame = (corners - shift) @ np.linalg.inv(linear).T  # (4, 2)
    limit = np.array([frame.shape[1], frame.shape[0]])
    low = np.clip(np.floor(in_frame.min(axis=0) - shrink), 0, limit).astype(int)
    high = np.clip(np.ceil(in_frame.max(axis=0) + shrink), low, limit).astype(int)
    region = frame[low[1] : high[1], low[0] : high[0]]
    if region.size == 0:
        return region, to_crop
    small_size = np.maximum(np.round((high - low) / shrink), 1).astype(int)
    small = cv2.resize(region, (int(small_size[0]), int(small_size[1])), interpolation=cv2.INTER_AREA)
    # small pixel p lies at frame pixel low + p * step
    step = (high - low) / small_size
    return small, np.column_stack([linear * step, linear @ low + shift])
