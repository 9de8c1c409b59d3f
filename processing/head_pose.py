"""Head pose and gaze in degrees, from the 478 landmarks of a face.

Directions are those of the image as a viewer sees it, relative to a frontal head:

    pitch   positive: the face turns up
    yaw     positive: the face turns to the right of the image
    roll    positive: the head tilts clockwise, its top to the right of the image

No camera parameters are needed. The rotation is relative to the line from the camera to the face: it is the weighted
Procrustes fit of MediaPipe's canonical face, with MediaPipe's weights. OpenCV's PnP on the same points agrees within
2 degrees if given a long focal length, and is off by up to 17 degrees if it assumes a wide lens.
"""

from __future__ import annotations

import numpy as np

# MediaPipe's canonical face: point index, weight, and position in cm; x to the right, y down, z away from the camera.
CANONICAL_POINTS = np.array(
    [
        (4, 0.0709, 0.000, 0.463, -7.587),
        (6, 0.0321, 0.000, -2.473, -5.789),
        (10, 0.0084, 0.000, -8.262, -4.482),
        (33, 0.0587, -4.446, -2.664, -3.173),
        (54, 0.0077, -6.279, -6.615, -1.426),
        (67, 0.0091, -3.524, -8.006, -3.729),
        (117, 0.0098, -5.259, -0.946, -2.974),
        (119, 0.0146, -3.301, -0.862, -3.873),
        (121, 0.0186, -1.821, -1.468, -4.224),
        (127, 0.0052, -7.743, -2.365, 2.005),
        (129, 0.1206, -1.786, 0.978, -4.850),
        (132, 0.0056, -7.271, 2.891, 2.252),
        (133, 0.0533, -1.856, -2.585, -3.758),
        (136, 0.0669, -5.085, 7.179, -0.715),
        (143, 0.0148, -6.408, -2.236, -1.561),
        (147, 0.0143, -6.235, 1.944, -1.664),
        (198, 0.0255, -1.247, -0.230, -5.681),
        (205, 0.0473, -3.833, 1.537, -4.138),
        (263, 0.0587, 4.446, -2.664, -3.173),
        (284, 0.0077, 6.279, -6.615, -1.426),
        (297, 0.0091, 3.524, -8.006, -3.729),
        (346, 0.0098, 5.259, -0.946, -2.974),
        (348, 0.0146, 3.301, -0.862, -3.873),
        (350, 0.0186, 1.821, -1.468, -4.224),
        (356, 0.0052, 7.743, -2.365, 2.005),
        (358, 0.1206, 1.786, 0.978, -4.850),
        (361, 0.0056, 7.271, 2.891, 2.252),
        (362, 0.0533, 1.856, -2.585, -3.758),
        (365, 0.0669, 5.085, 7.179, -0.715),
        (372, 0.0148, 6.408, -2.236, -1.561),
        (376, 0.0143, 6.235, 1.944, -1.664),
        (420, 0.0255, 1.247, -0.230, -5.681),
        (425, 0.0473, 3.833, 1.537, -4.138),
    ]
)
POINT_NUMBERS = CANONICAL_POINTS[:, 0].astype(int)
WEIGHTS = CANONICAL_POINTS[:, 1] / CANONICAL_POINTS[:, 1].sum()
CENTRED_FACE = CANONICAL_POINTS[:, 2:] - WEIGHTS @ CANONICAL_POINTS[:, 2:]  # (33, 3)

# Each eye from left to right in the image: its two corners and the centre of the iris.
EYES = ((33, 133, 468), (362, 263, 473))
EYEBALL_PER_EYE = 0.42  # radius of the eyeball (12 mm) over the distance between the corners of the eye (28 mm)
# Height of the iris above the corners, over that distance, for people who look at the camera: median of 58.
IRIS_AT_REST = 0.066


def head_pose(points: np.ndarray) -> np.ndarray:
    """(..., 3) degrees: pitch, yaw, roll from points (..., 478, 3), x and y in pixels, z as in `FaceMesh`."""
    rotation = head_rotation(points)
    right, down, away = (-rotation[..., axis, 2] for axis in range(3))  # viewing direction of the face
    yaw, pitch = np.arctan2(right, -away), np.arcsin(np.clip(-down, -1, 1))
    upright = np.swapaxes(rotation_of(pitch, yaw), -1, -2) @ rotation
    return np.degrees(np.stack([pitch, yaw, np.arctan2(upright[..., 1, 0], upright[..., 0, 0])], axis=-1))


def gaze(points: np.ndarray) -> np.ndarray:
    """(..., 2) degrees: yaw and pitch of the eyes relative to the head, mean of both eyes."""
    points = np.asarray(points, dtype=np.float64)
    in_head = points @ head_rotation(points)  # (..., 478, 3), of the frontal head
    offsets = []
    for left, right, iris in EYES:
        across = in_head[..., right, :2] - in_head[..., left, :2]
        length = np.linalg.norm(across, axis=-1, keepdims=True)
        across = across / np.maximum(length, 1e-9)
        up = np.stack([across[..., 1], -across[..., 0]], axis=-1)
        offset = (in_head[..., iris, :2] - (in_head[..., left, :2] + in_head[..., right, :2]) / 2) / np.maximum(
            length, 1e-9
        )
        offsets.append(np.stack([(offset * across).sum(-1), (offset * up).sum(-1) - IRIS_AT_REST], axis=-1))
    return np.degrees(np.arcsin(np.clip(np.mean(offsets, axis=0) / EYEBALL_PER_EYE, -1, 1)))


def mirrored_pose(pose: np.ndarray) -> np.ndarray:
    """Poses (..., 3) of the horizontally flipped image."""
    return pose * np.array([1, -1, -1], pose.dtype)


def mirrored_gaze(gaze_angles: np.ndarray) -> np.ndarray:
    """Gaze (..., 2) of the horizontally flipped image."""
    return gaze_angles * np.array([-1, 1], gaze_angles.dtype)


def head_rotation(points: np.ndarray) -> np.ndarray:
    """(..., 3, 3): rotation from the frontal canonical face to heads with points (..., 478, 3)."""
    observed = np.asarray(points, dtype=np.float64)[..., POINT_NUMBERS, :]
    observed = observed - (WEIGHTS @ observed)[..., None, :]
    first, _, last = np.linalg.svd(np.swapaxes(observed * WEIGHTS[:, None], -1, -2) @ CENTRED_FACE)
    first[..., -1] *= np.sign(np.linalg.det(first @ last))[..., None]  # a proper rotation, no reflection
    return first @ last


def rotation_of(pitch: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """(..., 3, 3): rotation of a frontal head to this pitch and yaw, in radians."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    sideways = np.array([[np.cos(yaw), zero, -np.sin(yaw)], [zero, one, zero], [np.sin(yaw), zero, np.cos(yaw)]])
    upwards = np.array(
        [[one, zero, zero], [zero, np.cos(pitch), np.sin(pitch)], [zero, -np.sin(pitch), np.cos(pitch)]]
    )
    return np.moveaxis(sideways, (0, 1), (-2, -1)) @ np.moveaxis(upwards, (0, 1), (-2, -1))
