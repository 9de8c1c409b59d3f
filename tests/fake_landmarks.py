"""A fake landmarker whose outputs identify the face and the call."""

from __future__ import annotations

import numpy as np

from microemo.processing.face_landmarks import NUM_ACTIONS, NUM_POINTS, FaceMesh
from microemo.processing.head_pose import CANONICAL_POINTS, EYES, POINT_NUMBERS


def frontal_points() -> np.ndarray:
    """(478, 3): a face seen straight on that looks straight ahead, right only in the points that are looked at."""
    points = np.zeros((NUM_POINTS, 3), np.float32)
    points[POINT_NUMBERS] = CANONICAL_POINTS[:, 2:]
    for left, right, iris in EYES:
        points[iris] = (points[left] + points[right]) / 2
    return points


class FakeLandmarker:
    """Its first action is how far to the right the face is, over 1000 px; the second counts how often it was asked.

    Args:
        absent: numbers of the calls, from zero, in which no face is there.
    """

    fingerprint = "fake"

    def __init__(self, *, absent: tuple[int, ...] = ()) -> None:
        self.absent = absent
        self.calls: list[tuple[np.ndarray, FaceMesh | None]] = []

    def analyze(self, picture: np.ndarray, five_points: np.ndarray, *, previous: FaceMesh | None = None) -> FaceMesh:
        actions = np.zeros(NUM_ACTIONS, np.float32)
        actions[:2] = five_points[2, 0] / 1000, len(self.calls)
        presence = 0.1 if len(self.calls) in self.absent else 0.9
        self.calls.append((five_points, previous))
        return FaceMesh(frontal_points(), presence, actions)
