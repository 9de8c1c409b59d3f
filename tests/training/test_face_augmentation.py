from dataclasses import replace

import numpy as np
import pytest

from microemo.training.face_tower.augmentation import FaceAugmentation, augment_face

SIDE = 48


@pytest.fixture
def crop() -> np.ndarray:
    ramp = np.linspace(40, 220, SIDE)
    return (ramp[:, None] / 2 + ramp[None] / 2).astype(np.uint8)


def augment(crop: np.ndarray, *, seed: int, settings: FaceAugmentation | None = None) -> np.ndarray:
    inside = np.ones(crop.shape, dtype=bool)
    inside[:, :6] = False
    return augment_face(
        crop, inside=inside, settings=settings or FaceAugmentation(), generator=np.random.default_rng(seed)
    )


def test_shape_and_dtype_are_kept(crop):
    for seed in range(40):
        variant = augment(crop, seed=seed)
        assert variant.shape == crop.shape
        assert variant.dtype == np.uint8


def test_result_depends_on_the_seed(crop):
    assert np.array_equal(augment(crop, seed=3), augment(crop, seed=3))
    assert not np.array_equal(augment(crop, seed=3), augment(crop, seed=4))


def test_input_crop_is_not_modified(crop):
    before = crop.copy()
    for seed in range(20):
        augment(crop, seed=seed)
    assert np.array_equal(crop, before)


def test_disabled_augmentation_only_mirrors(crop):
    off = FaceAugmentation(
        rotation_degrees=0,
        scale_range=(1, 1),
        shift=0,
        gamma_range=(1, 1),
        contrast_range=(1, 1),
        brightness=0,
        side_light=0,
        degrade_probability=0,
        erase_probability=0,
        fill_probability=0,
    )
    expected = crop.copy()
    expected[:, :6] = 0
    seen = [augment(crop, seed=seed, settings=off) for seed in range(12)]
    is_plain = [np.array_equal(variant, expected) for variant in seen]
    is_mirrored = [np.array_equal(variant, expected[:, ::-1]) for variant in seen]
    assert all(plain or mirrored for plain, mirrored in zip(is_plain, is_mirrored, strict=True))
    assert any(is_plain) and any(is_mirrored)


def test_area_outside_of_the_photograph_is_black_or_constant(crop):
    still = FaceAugmentation(
        rotation_degrees=0, scale_range=(1, 1), shift=0, degrade_probability=0, erase_probability=0
    )
    for probability, is_black in ((0.0, True), (1.0, False)):
        variant = augment(crop, seed=5, settings=replace(still, fill_probability=probability))
        edges = variant[:, :6], variant[:, -6:]
        levels = [np.unique(edge) for edge in edges if len(np.unique(edge)) == 1]
        assert len(levels) == 1
        assert (levels[0][0] == 0) == is_black


@pytest.mark.parametrize(
    ("name", "value"), [("erase_probability", 1.5), ("scale_range", (1.2, 0.8)), ("gamma_range", (0.0, 1.0))]
)
def test_invalid_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        FaceAugmentation(**{name: value})


def test_colour_crop_is_refused(crop):
    with pytest.raises(ValueError, match="crop must be"):
        augment(np.repeat(crop[..., None], 3, axis=2), seed=0)
