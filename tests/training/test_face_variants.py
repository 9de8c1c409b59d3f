from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_faces import tiny_classifier

from microemo.data.still_faces import StillFaces
from microemo.training.face_tower.augmentation import FaceAugmentation, augment_face
from microemo.training.face_tower.classifier import normalise_grey
from microemo.training.face_tower.variants import load_face_variants


@pytest.fixture
def faces() -> StillFaces:
    crops = np.random.default_rng(0).integers(0, 256, size=(5, 32, 32), dtype=np.uint8)
    names = np.array([str(number) for number in range(5)])
    return StillFaces(crops, np.ones(crops.shape, dtype=bool), np.zeros(5, dtype=np.int64), names, names)


def load(path: Path, faces: StillFaces, *, seed: int = 0, augmentation: FaceAugmentation | None = None) -> np.ndarray:
    return load_face_variants(
        path,
        model=tiny_classifier(),
        faces=faces,
        augmentation=augmentation or FaceAugmentation(),
        blocks=3,
        count=2,
        seed=seed,
    )


def test_variants_are_frozen_features_of_augmented_crops(faces, tmp_path):
    variants = load(tmp_path / "variants.npy", faces)
    generator = np.random.default_rng((0, 1))
    crops = [
        augment_face(crop, inside=inside, settings=FaceAugmentation(), generator=generator)
        for crop, inside in zip(faces.crops, faces.inside, strict=True)
    ]
    with torch.inference_mode():
        hidden = tiny_classifier().eval().forward_frozen(normalise_grey(np.stack(crops)), blocks=3)
        expected = hidden.permute(0, 2, 3, 1)
    assert variants.shape == (2, *expected.shape)
    error = np.abs(variants[1].astype(np.float32) - expected.numpy())
    assert error.max() < 0.05 * np.abs(expected.numpy()).max()


def test_second_call_reads_the_file_and_the_seed_changes_it(faces, tmp_path):
    first = np.array(load(tmp_path / "variants.npy", faces))
    modified = (tmp_path / "variants.npy").stat().st_mtime_ns
    np.testing.assert_array_equal(first, load(tmp_path / "variants.npy", faces))
    assert (tmp_path / "variants.npy").stat().st_mtime_ns == modified
    assert not np.array_equal(first, load(tmp_path / "other.npy", faces, seed=1))
    assert not np.array_equal(first[0], first[1])


def test_file_of_other_settings_is_refused(faces, tmp_path):
    load(tmp_path / "variants.npy", faces)
    with pytest.raises(ValueError, match="was made with"):
        load(tmp_path / "variants.npy", faces, augmentation=replace(FaceAugmentation(), shift=0.0))
