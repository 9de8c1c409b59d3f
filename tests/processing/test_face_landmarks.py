"""The input region of the landmark network, and the transform back to image pixels."""

import numpy as np
import pytest

from microemo.processing.face_landmarks import FaceRegion, input_matrix, region_of_five_points, region_of_mesh

FIVE_POINTS = np.array([[200.0, 100.0], [240, 100], [220, 120], [205, 141], [235, 141]])


def turned(points: np.ndarray, *, degrees: float) -> np.ndarray:
    """Points rotated clockwise, as seen in the image, around (0, 0)."""
    angle = np.radians(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_the_region_rotates_with_the_eyes():
    level = region_of_five_points(FIVE_POINTS)
    leaning = region_of_five_points(turned(FIVE_POINTS, degrees=20))
    assert level.angle == 0
    assert np.degrees(leaning.angle) == pytest.approx(20)
    assert leaning.side == pytest.approx(level.side)


def test_the_region_is_at_least_as_large_as_the_eyes_need():
    bent = FIVE_POINTS.copy()
    bent[3:, 1] = 115
    assert region_of_five_points(bent).side > 3 * 40


def test_the_region_of_a_mesh_is_1_5_times_its_box():
    points = np.full((478, 3), 50.0)
    points[0], points[1] = (10, 30, 0), (90, 70, 0)
    points[33], points[263] = (40, 50, 0), (60, 50, 0)
    assert region_of_mesh(points) == FaceRegion((50.0, 50.0), 120.0, 0.0)


def test_the_network_input_is_upright_for_a_tilted_face():
    leaning = turned(FIVE_POINTS, degrees=-35)
    matrix = input_matrix(region_of_five_points(leaning))
    in_view = leaning @ matrix[:, :2].T + matrix[:, 2]
    assert in_view[0, 1] == pytest.approx(in_view[1, 1])  # eyes level
    assert in_view[3:, 1].mean() > in_view[:2, 1].mean()
    assert (in_view[:2].mean(axis=0) + in_view[3:].mean(axis=0)) / 2 == pytest.approx([128, 128])


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.full((5, 2), np.nan)])
def test_invalid_points_are_refused(points):
    with pytest.raises(ValueError, match="five_points"):
        region_of_five_points(points)
