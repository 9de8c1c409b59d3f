"""Head rotation about the neck, for points with depth."""

from __future__ import annotations

import numpy as np

NECK_BELOW_MM, NECK_BEHIND_MM = 95.0, 60.0  # pivot of the head from between the eyes
CAMERA_DISTANCE_MM = 900.0
NUM_POSE = 6  # yaw, pitch, roll in radians, to the right, down in mm, scale - 1


def turn_head(points_mm: np.ndarray, *, pose: np.ndarray) -> np.ndarray:
    """Projects points (F, V, 3) of a head after its movement to (F, V, 2) mm, for a camera in front.

    Args:
        points_mm: x to the right, y down, z away from the camera; origin between the eyes.
        pose: (F, 6): yaw (to the right of the picture), pitch (down), roll (clockwise) in radians, shift to the right
            and down in mm, and relative growth.
    """
    pivot = np.array([0.0, NECK_BELOW_MM, NECK_BEHIND_MM])
    turned = (points_mm - pivot) @ np.swapaxes(rotation_matrices(pose[:, :3]), 1, 2) + pivot
    depth = CAMERA_DISTANCE_MM + turned[..., 2:]
    original_depth = CAMERA_DISTANCE_MM + points_mm[..., 2:]
    # Relative to the original depth, as the photograph already has perspective.
    projected = turned[..., :2] * (original_depth / depth)
    return projected * (1 + pose[:, None, 5:6]) + pose[:, None, 3:5]


def rotation_matrices(angles: np.ndarray) -> np.ndarray:
    """Matrices (F, 3, 3) of yaw, pitch and roll (F, 3)."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    # z points away from the camera: positive yaw moves the nose (small z) right, positive pitch moves it down.
    yaw = np.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy], -1).reshape(-1, 3, 3)
    pitch = np.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], -1).reshape(-1, 3, 3)
    roll = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return roll @ pitch @ yaw


def still_pose(frames: int) -> np.ndarray:
    """Pose (F, 6) of a head that does not move."""
    return np.zeros((frames, NUM_POSE))
