"""Where the landmark net looks, and how its points come back into the picture."""

import numpy as np
import pytest

from microemo.processing.face_landmarks import FaceRegion, region_of_five_points, region_of_mesh, view_matrix

FIVE_POINTS = np.array([[200.0, 100.0], [240, 100], [220, 120], [205, 141], [235, 141]])


def turned(points: np.ndarray, *, degrees: float) -> np.ndarray:
    """Points turned clockwise, as seen, around (0, 0)."""
    angle = np.radians(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_the_region_turns_with_the_eyes():
    level = region_of_five_points(FIVE_POINTS)
    leaning = region_of_five_points(turned(FIVE_POINTS, degrees=20))
    assert level.angle == 0
    assert np.degrees(leaning.angle) == pytest.approx(20)
    assert leaning.side == pytest.approx(level.side)


def test_a_face_with_its_mouth_nearer_to_the_eyes_is_not_looked_at_in_a_smaller_region_than_its_eyes_need():
    bent = FIVE_POINTS.copy()
    bent[3:, 1] = 115
    assert region_of_five_points(bent).side > 3 * 40


def test_the_region_of_a_mesh_is_one_and_a_half_times_its_box():
    points = np.full((478, 3), 50.0)
    points[0], points[1] = (10, 30, 0), (90, 70, 0)
    points[33], points[263] = (40, 50, 0), (60, 50, 0)
    assert region_of_mesh(points) == FaceRegion((50.0, 50.0), 120.0, 0.0)


def test_the_view_is_upright_for_a_leaning_face():
    leaning = turned(FIVE_POINTS, degrees=-35)
    matrix = view_matrix(region_of_five_points(leaning))
    in_view = leaning @ matrix[:, :2].T + matrix[:, 2]
    assert in_view[0, 1] == pytest.approx(in_view[1, 1])  # eyes level
    assert in_view[3:, 1].mean() > in_view[:2, 1].mean()
    assert (in_view[:2].mean(axis=0) + in_view[3:].mean(axis=0)) / 2 == pytest.approx([128, 128])


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.full((5, 2), np.nan)])
def test_points_that_are_no_face_are_refused(points):
    with pytest.raises(ValueError, match="five_points"):
        region_of_five_points(points)
