import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.face_cropping import (
    ARCFACE_TEMPLATE,
    BOX_TEMPLATE,
    CROP_MARGIN,
    CROP_TEMPLATE,
    alignment_matrix,
    crop_face,
    landmarks_from_boxes,
)

ASTRONAUT_LANDMARKS = np.array([[202.8, 100.8], [247.3, 102.4], [222.2, 124.1], [204.0, 142.8], [241.7, 143.9]])


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def similarity(*, scale, degrees, shift):
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


@given(
    scale=st.floats(5, 2000),
    degrees=st.floats(-180, 180),
    shift=st.tuples(st.floats(-500, 2000), st.floats(-500, 2000)),
)
def test_similar_landmarks_map_onto_the_template(scale, degrees, shift):
    landmarks = apply(similarity(scale=scale, degrees=degrees, shift=shift), CROP_TEMPLATE)
    np.testing.assert_allclose(apply(alignment_matrix(landmarks), landmarks), CROP_TEMPLATE, atol=1e-7)


def test_the_fit_is_least_squares():
    landmarks = ASTRONAUT_LANDMARKS
    ours = alignment_matrix(landmarks)
    # The same problem as linear equations in (a, b, x, y).
    rows = np.concatenate(
        [
            np.column_stack([landmarks[:, 0], -landmarks[:, 1], np.ones(5), np.zeros(5)]),
            np.column_stack([landmarks[:, 1], landmarks[:, 0], np.zeros(5), np.ones(5)]),
        ]
    )
    a, b, x, y = np.linalg.lstsq(rows, CROP_TEMPLATE.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(ours, [[a, -b, x], [b, a, y]], atol=1e-9)


def test_batches_equal_single_faces():
    many = ASTRONAUT_LANDMARKS + np.random.default_rng(0).normal(size=(3, 4, 5, 2))
    together = alignment_matrix(many)
    assert together.shape == (3, 4, 2, 3)
    np.testing.assert_allclose(together[2, 1], alignment_matrix(many[2, 1]))


def test_the_margin_enlarges_the_crop_about_its_centre():
    np.testing.assert_allclose((CROP_TEMPLATE - 0.5) * (1 + 2 * CROP_MARGIN), ARCFACE_TEMPLATE - 0.5)


@pytest.mark.parametrize(("scale", "size"), [(112, 112), (56, 112), (112, 56), (450, 112), (1500, 112)])
def test_landmarks_land_on_the_template_in_the_crop(scale, size):
    """A disc at each landmark, large enough to survive scaling, appears at the template's position."""
    frame = np.zeros((scale + 60, scale + 90, 3), dtype=np.uint8)
    landmarks = CROP_TEMPLATE * scale + (40, 25)
    for point in landmarks:
        cv2.circle(frame, tuple(int(round(value)) for value in point), max(2, scale // 28), (255, 255, 255), -1)
    crop = crop_face(frame, alignment_matrix(landmarks), size)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    count, _, _, centres = cv2.connectedComponentsWithStats((crop[..., 0] > 100).astype(np.uint8))
    assert count == 6
    expected = CROP_TEMPLATE * size
    estimated = centres[1:] + 0.5
    distances = np.linalg.norm(estimated[:, None] - expected[None], axis=-1).min(axis=1)
    assert distances.max() < 0.02 * size


def test_shrinking_averages_pixels():
    """Thin stripes average to grey; a plain bilinear warp would give black or white."""
    frame = np.zeros((1200, 1200, 3), dtype=np.uint8)
    frame[::2] = 255
    crop = crop_face(frame, alignment_matrix(CROP_TEMPLATE * 1100 + 50), 64)
    assert np.abs(crop[4:-4, 4:-4].astype(int) - 127).max() <= 10


def test_crops_do_not_depend_on_image_rotation():
    picture = skimage.data.astronaut()
    turned = np.ascontiguousarray(np.rot90(picture))  # to the left: (x, y) -> (y, W - x)
    landmarks = np.stack([ASTRONAUT_LANDMARKS[:, 1], picture.shape[1] - ASTRONAUT_LANDMARKS[:, 0]], axis=-1)
    upright = crop_face(picture, alignment_matrix(ASTRONAUT_LANDMARKS), 112).astype(int)
    from_turned = crop_face(turned, alignment_matrix(landmarks), 112).astype(int)
    assert np.abs(upright - from_turned).mean() < 1.5


def test_pixels_outside_the_frame_are_black():
    frame = np.full((100, 100, 3), 200, dtype=np.uint8)
    half_out = crop_face(frame, alignment_matrix(CROP_TEMPLATE * 80 + (60, 10)), 112)
    assert half_out[56, 10].tolist() == [200, 200, 200] and half_out[56, 100].tolist() == [0, 0, 0]
    assert not crop_face(frame, alignment_matrix(CROP_TEMPLATE * 80 + 500), 112).any()
    assert not crop_face(frame, alignment_matrix(CROP_TEMPLATE * 800 + 5000), 112).any()


def test_landmarks_of_a_box():
    landmarks = landmarks_from_boxes(np.array([[10.0, 20, 110, 220]]))
    np.testing.assert_allclose(landmarks[0], BOX_TEMPLATE * (100, 200) + (10, 20))


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.zeros((4, 2)), r"landmarks must have shape \(\.\.\., 5, 2\), got \(4, 2\)"),
        (np.full((5, 2), np.nan), "landmarks must be finite"),
        (np.ones((5, 2)), "must not all be the same point"),
    ],
)
def test_invalid_landmarks_are_refused(landmarks, message):
    with pytest.raises(ValueError, match=message):
        alignment_matrix(landmarks)


def test_invalid_sizes_are_refused():
    with pytest.raises(ValueError, match="size must be >= 1, got 0"):
        crop_face(np.zeros((9, 9, 3), dtype=np.uint8), np.eye(2, 3), 0)
