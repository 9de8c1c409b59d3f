import numpy as np
import pytest

from microemo.data.action_units import LABELS, UNIT_INDEX
from microemo.synthesis.face import face_mesh
from microemo.synthesis.face.facial_motion import NUM_MOVEMENTS, keep_openings, movement_basis


@pytest.fixture(scope="module")
def shape():
    return face_mesh.load_topology().neutral_shape[:, :2].astype(np.float64)


@pytest.fixture(scope="module")
def basis(shape):
    return movement_basis(shape)


def test_every_movement_has_plausible_displacements(basis):
    assert basis.shape == (NUM_MOVEMENTS, 2, 468, 2)
    largest = np.linalg.norm(basis.sum(1), axis=2).max(1)
    assert (largest > 1.0).all() and (largest < 25.0).all(), dict(zip(LABELS, largest, strict=False))


def test_sides_are_mirrored(basis):
    mirror = face_mesh.load_topology().mirror
    np.testing.assert_allclose(basis[:, 0][:, mirror] * [-1, 1], basis[:, 1], atol=0.7)


@pytest.mark.parametrize(
    ("unit", "point", "axis", "sign"),
    [(1, 107, 1, -1), (4, 55, 1, 1), (4, 55, 0, 1), (12, 61, 1, -1), (12, 61, 0, -1), (15, 61, 1, 1), (26, 152, 1, 1)],
)
def test_units_move_in_the_expected_direction(basis, unit, point, axis, sign):
    """y points down; outward is negative x on the left side of the picture."""
    assert sign * basis[UNIT_INDEX[unit]].sum(0)[point, axis] > 2.0


def test_brows_do_not_move_lids_and_jaw_does_not_move_the_upper_lip(basis):
    brow = np.linalg.norm(basis[UNIT_INDEX[2]].sum(0), axis=1)
    assert brow[list(face_mesh.LEFT_EYE_UPPER)].max() < 0.35 * brow.max()
    jaw = np.linalg.norm(basis[UNIT_INDEX[26]].sum(0), axis=1)
    assert jaw[list(face_mesh.UPPER_LIP_INNER)].max() < 1e-9 and jaw[14] > 10


def test_closed_lids_meet_without_crossing(shape, basis):
    closed = keep_openings((shape + basis[UNIT_INDEX[43]].sum(0))[None])[0]
    for upper, lower in (
        (face_mesh.LEFT_EYE_UPPER, face_mesh.LEFT_EYE_LOWER),
        (face_mesh.RIGHT_EYE_UPPER, face_mesh.RIGHT_EYE_LOWER),
    ):
        np.testing.assert_allclose(closed[list(upper)], closed[list(lower)], atol=0.3)
    pressed = keep_openings((shape + 2 * basis[UNIT_INDEX[24]].sum(0))[None])[0]
    rows = [pressed[list(row), 1] for row in reversed(face_mesh.UPPER_LIP_ROWS)]
    rows += [pressed[list(row), 1] for row in face_mesh.LOWER_LIP_ROWS]
    middle = np.stack(rows)[:, 2:7]
    assert (np.diff(middle, axis=0) >= -0.6).all()  # lips get thin, they do not fold
