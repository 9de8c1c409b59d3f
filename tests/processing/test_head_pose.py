"""Rotated point clouds and shifted irises give back their angles, with the documented signs."""

import numpy as np
import pytest
from fake_landmarks import frontal_points

from microemo.processing.head_pose import EYES, gaze, head_pose, rotation_of


def turned(*, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Points of a head with this roll, pitch and yaw, shifted and scaled in the image."""
    lean = np.radians(roll)
    roll_matrix = np.array([[np.cos(lean), -np.sin(lean), 0], [np.sin(lean), np.cos(lean), 0], [0, 0, 1]])
    rotation = rotation_of(np.radians(np.array(pitch)), np.radians(np.array(yaw))) @ roll_matrix
    return 12 * frontal_points() @ rotation.T + np.array([320, 200, 5])


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (0, -35, 0), (0, 0, 50), (-15, 40, -10), (10, 60, 20)])
def test_a_rotated_head_gives_its_angles(angles):
    pitch, yaw, roll = angles
    np.testing.assert_allclose(head_pose(turned(pitch=pitch, yaw=yaw, roll=roll)), angles, atol=0.05)


def test_signs_follow_the_image():
    nose, chin_left, brow_right = 4, 136, 284
    straight = turned()
    assert turned(yaw=20)[nose, 0] > straight[nose, 0]  # to the right
    assert turned(pitch=20)[nose, 1] < straight[nose, 1]  # up
    leaning = turned(roll=20)  # clockwise: the right side moves down
    assert leaning[brow_right, 1] > straight[brow_right, 1] and leaning[chin_left, 1] < straight[chin_left, 1]


@pytest.mark.parametrize("angles", [(0, 0, 0), (15, -30, 25)])
def test_gaze_does_not_depend_on_head_pose(angles):
    pitch, yaw, roll = angles
    points = turned(pitch=pitch, yaw=yaw, roll=roll)
    straight = gaze(points)
    for left, right, iris in EYES:
        points[iris] += 0.2 * (points[right] - points[left])  # towards the right of the image
    moved = gaze(points)
    assert moved[0] - straight[0] == pytest.approx(28, abs=3)
    assert moved[1] - straight[1] == pytest.approx(0, abs=3)


def test_upward_gaze_is_positive():
    points = frontal_points()
    for *_, iris in EYES:
        points[iris, 1] -= 0.3
    assert gaze(points)[1] > gaze(frontal_points())[1] + 10


def test_batches_are_supported():
    heads = np.stack([turned(yaw=yaw) for yaw in (-20.0, 0.0, 20.0)])
    np.testing.assert_allclose(head_pose(heads)[:, 1], [-20, 0, 20], atol=0.05)
    assert gaze(heads).shape == (3, 2)
