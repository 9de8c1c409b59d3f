import cv2
import numpy as np
import pytest

from microemo.data.action_units import UNIT_INDEX
from microemo.synthesis.face import face_mesh
from microemo.synthesis.face.face_mesh import face_frame, load_topology
from microemo.synthesis.face.facial_motion import movement_basis
from microemo.synthesis.face.head_pose import rotation_matrices, turn_head
from microemo.synthesis.face.picture_framing import choose_window, cut_window
from microemo.synthesis.face.portrait import (
    UnsuitablePhotograph,
    check_suitable,
    make_portrait,
    rest_offset,
    still_motion,
)
from microemo.synthesis.face.rendering import affine_to_source, similarity
from microemo.synthesis.face.wrinkles import FOLDING_UNITS, shade

SIZE = (96, 96)


def drawn(portrait, motion):
    return np.stack(list(portrait.render(motion, size=SIZE))).astype(int)


def moved(unit: int, *, intensity: float = 1.0, frames: int = 2):
    """Frame 0 at rest, the others with one unit each."""
    motion = still_motion(frames)
    motion.movements[1:, UNIT_INDEX[unit]] = intensity
    return motion


def test_still_face_equals_the_photograph(portrait):
    frame = drawn(portrait, still_motion(1))[0]
    photograph = cv2.resize(portrait.layers.person[..., :3], SIZE, interpolation=cv2.INTER_AREA).astype(int)
    mouth = portrait.face_points(still_motion(1), size=SIZE)[0][list(face_mesh.MOUTH_LOOP)]
    difference = np.abs(frame - photograph).mean(2)
    low, high = mouth.min(0).astype(int) - 4, mouth.max(0).astype(int) + 5
    difference[low[1] : high[1], low[0] : high[0]] = 0  # the closed lips get a line
    assert difference.mean() < 3


def test_background_does_not_move(portrait):
    motion = moved(26)
    motion.pose[1] = [0.15, 0.1, 0.05, 1.0, 1.0, 0.0]
    rest, turned = drawn(portrait, motion)
    oval = portrait.face_points(motion, size=SIZE)[:, load_topology().oval].reshape(-1, 2)
    low, high = oval.min(0) - 14, oval.max(0) + 14
    outside = np.ones(SIZE, bool)
    outside[max(0, int(low[1])) : int(high[1]), max(0, int(low[0])) : int(high[0])] = False
    assert outside.sum() > 300
    assert np.abs(turned - rest).max(2)[outside].max() <= 2


def test_open_jaw_shows_a_dark_mouth_and_lids_cover_the_eyes(portrait):
    rest, opened = drawn(portrait, moved(26))
    points = portrait.face_points(moved(26), size=SIZE)[1]
    x, y = np.round(points[[13, 14]].mean(0)).astype(int)
    assert opened[y + 1, x].mean() < 0.6 * rest[y + 1, x].mean()
    open_eyes, closed = drawn(portrait, moved(43))
    x, y = np.round(portrait.face_points(still_motion(1), size=SIZE)[0][[159, 145]].mean(0)).astype(int)
    skin = np.array([205, 160, 135])
    assert np.abs(open_eyes[y, x] - skin).sum() > 100
    assert np.abs(closed[y - 1, x] - skin).sum() < 60


def test_sides_move_independently(portrait):
    motion = still_motion(2)
    motion.movements[1, UNIT_INDEX[12], 0] = 1.0
    rest, smile = portrait.face_points(motion, size=SIZE)
    left, right = (np.linalg.norm(smile[point] - rest[point]) for point in (61, 291))
    assert left > 3.0 and right < 0.15 * left


def test_rest_closes_an_open_mouth(mesh_points):
    opened = face_frame(mesh_points).to_mm(mesh_points[:, :2])
    from_jaw = opened.copy()
    from_jaw[[*face_mesh.LOWER_LIP, 152, 175, 199]] += [0, 8.0]
    closed = from_jaw + rest_offset(from_jaw, basis=movement_basis(from_jaw))
    gaps = closed[list(face_mesh.LOWER_LIP_INNER), 1] - closed[list(face_mesh.UPPER_LIP_INNER), 1]
    assert np.abs(gaps).max() < 0.5


def test_unsuitable_faces_are_refused_with_a_reason(mesh_points, photograph):
    with pytest.raises(UnsuitablePhotograph, match="px high"):
        check_suitable(mesh_points * 0.2)
    turned = mesh_points.copy()
    turned[1, 0] += 20
    with pytest.raises(UnsuitablePhotograph, match="turned away"):
        make_portrait(photograph, points=turned)
    laughing = mesh_points.copy()
    laughing[14, 1] += 8  # px, 13 mm
    with pytest.raises(UnsuitablePhotograph, match="mouth is open"):
        check_suitable(laughing)


def test_head_turns_in_the_direction_of_the_angles():
    nose = np.array([[[0.0, 40.0, -30.0]]])
    for pose, axis in (([0.2, 0, 0, 0, 0, 0], 0), ([0, 0.2, 0, 0, 0, 0], 1)):
        assert turn_head(nose, pose=np.array([pose]))[0, 0, axis] - nose[0, 0, axis] > 3
    still = turn_head(nose, pose=np.zeros((1, 6)))
    np.testing.assert_allclose(still[0, 0], nose[0, 0, :2])
    matrices = rotation_matrices(np.array([[0.3, -0.2, 0.1]]))
    np.testing.assert_allclose(matrices[0] @ matrices[0].T, np.eye(3), atol=1e-12)


def test_affine_maps_of_triangles():
    rng = np.random.default_rng(0)
    target, source = rng.uniform(0, 50, (6, 2)), rng.uniform(0, 50, (6, 2))
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    matrices, areas = affine_to_source(target, source, triangles)
    for triangle, matrix in zip(triangles, matrices, strict=True):
        np.testing.assert_allclose(target[triangle] @ matrix[:, :2].T + matrix[:, 2], source[triangle], atol=1e-3)
    assert (areas > 0).all()


def test_tight_photograph_is_padded():
    picture = np.full((100, 100, 3), 77, np.uint8)
    oval = np.array([[5.0, 5.0], [95.0, 5.0], [95.0, 95.0], [5.0, 95.0]])
    window = choose_window(oval, shape=(100, 100))
    assert window.side == 125 and window.left == window.top == -12
    framed = cut_window(picture, window=window)
    assert framed.shape == (125, 125, 3) and (framed == 77).all()
    roomy = choose_window(oval / 3, shape=(100, 100))
    assert roomy.left == roomy.top == 0 and roomy.side == 65


def test_similarity_is_recovered():
    rng = np.random.default_rng(1)
    points, angle = rng.uniform(0, 50, (9, 2)), 0.4
    matrix = np.array([[1.3 * np.cos(angle), -1.3 * np.sin(angle), 5], [1.3 * np.sin(angle), 1.3 * np.cos(angle), -2]])
    np.testing.assert_allclose(similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix, atol=1e-9)


def test_wrinkles_darken_their_side_only(portrait):
    person, folds = portrait.layers.person, portrait.layers.folds
    movements = still_motion(1).movements[0]
    assert shade(person, movements=movements, maps=folds) is person
    movements[UNIT_INDEX[4], 0] = 1.0
    change = shade(person, movements=movements, maps=folds).astype(int) - person
    middle = int(portrait.frame.origin[0])
    assert change[:, :middle].min() <= -10 and change[..., 3].any() == 0
    assert np.abs(change[:, middle + 12 :]).max() <= 2
    assert UNIT_INDEX[4] in FOLDING_UNITS
