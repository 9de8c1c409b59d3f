"""Turning and nodding of the head about the neck, on points whose depth is known."""

from __future__ import annotations

import numpy as np

NECK_BELOW_MM, NECK_BEHIND_MM = 95.0, 60.0  # pivot of the head from between the eyes
CAMERA_DISTANCE_MM = 900.0
NUM_POSE = 6  # yaw, pitch, roll in radians, to the right, down in mm, scale - 1


def turn_head(points_mm: np.ndarray, *, pose: np.ndarray) -> np.ndarray:
    """(F, V, 2) mm: where (F, V, 3) points of a head appear after its movement, seen by a camera in front.

    Args:
        points_mm: x to the right, y down, z away from the camera; origin between the eyes.
        pose: (F, 6): yaw (to the right of the picture), pitch (down), roll (clockwise) in radians, shift to the right
            and down in mm, and relative growth.
    """
    pivot = np.array([0.0, NECK_BELOW_MM, NECK_BEHIND_MM])
    turned = (points_mm - pivot) @ np.swapaxes(rotation_matrices(pose[:, :3]), 1, 2) + pivot
    depth = CAMERA_DISTANCE_MM + turned[..., 2:]
    original_depth = CAMERA_DISTANCE_MM + points_mm[..., 2:]
    # Only the change of depth counts: the photograph already has its own perspective.
    seen = turned[..., :2] * (original_depth / depth)
    return seen * (1 + pose[:, None, 5:6]) + pose[:, None, 3:5]


def rotation_matrices(angles: np.ndarray) -> np.ndarray:
    """(F, 3, 3) of (F, 3) yaw, pitch and roll."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(angles).T, np.sin(angles).T
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    # z points away from the camera: the nose (small z) goes right with a positive yaw, down with a positive pitch.
    yaw = np.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy], -1).reshape(-1, 3, 3)
    pitch = np.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], -1).reshape(-1, 3, 3)
    roll = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return roll @ pitch @ yaw


def still_pose(frames: int) -> np.ndarray:
    """(F, 6) of a head that does not move."""
    return np.zeros((frames, NUM_POSE))
