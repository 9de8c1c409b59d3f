from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_faces import PEOPLE, MiddleFace, write_stills

from microemo.data import still_faces
from microemo.data.still_faces import CROP_SIZE, EXPRESSIONS, crop_still, identity_folds, load_still_faces
from microemo.processing.face_cropping import alignment_matrix, crop_face


class NoFace(MiddleFace):
    def detect(self, frames):
        raise AssertionError("the cache should have been read")


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    return write_stills(tmp_path / "stills")


def test_faces_labels_and_people_belong_together(stills):
    faces = load_still_faces(stills, detector=MiddleFace())
    assert len(faces) == PEOPLE * len(EXPRESSIONS)
    assert faces.crops.shape == faces.inside.shape == (len(faces), CROP_SIZE, CROP_SIZE)
    for file, label, identity in zip(faces.files, faces.labels, faces.identities, strict=True):
        person, number = file.removesuffix(".bmp").split("-")
        assert (int(number), f"person-{int(person)}") == (label, identity)


def test_no_person_is_in_two_folds_and_no_fold_depends_on_the_others_pictures():
    identities = np.array([f"person-{number % 40}" for number in range(400)])
    folds = identity_folds(identities, folds=5)
    assert set(folds) == set(range(5))
    for name in np.unique(identities):
        assert len(set(folds[identities == name])) == 1
    assert np.array_equal(identity_folds(identities[::7], folds=5), folds[::7])


def test_crop_equals_grey_crop_of_inference():
    picture = np.random.default_rng(0).integers(30, 255, size=(90, 80, 3), dtype=np.uint8)
    detector = MiddleFace()
    aligned = crop_still(picture, detector=detector)
    assert aligned is not None
    matrix = alignment_matrix(detector.detect(picture[None])[0].landmarks[0])
    assert np.array_equal(aligned[0], cv2.cvtColor(crop_face(picture, matrix, CROP_SIZE), cv2.COLOR_RGB2GRAY))
    assert np.all(aligned[0][~aligned[1]] < 255)


def test_a_photograph_without_a_face_is_left_out(stills):
    cv2.imwrite(str(stills / "00-3.bmp"), np.zeros((64, 64, 3), dtype=np.uint8))
    faces = load_still_faces(stills, detector=MiddleFace())
    assert len(faces) == PEOPLE * len(EXPRESSIONS) - 1
    assert "00-3.bmp" not in faces.files


def test_face_detected_with_padding_has_image_coordinates():
    class ShyFace(MiddleFace):
        """Detects a face at a fixed position, but only in an image with a margin of 16 px."""

        def detect(self, frames):
            if frames.shape[1] == 64:
                return super().detect(np.zeros_like(frames))
            found = super().detect(np.ascontiguousarray(frames[:, 16:-16, 16:-16]))
            return [type(one)(one.boxes + 16, one.landmarks + 16, one.scores) for one in found]

    picture = np.random.default_rng(1).integers(30, 255, size=(64, 64, 3), dtype=np.uint8)
    shy, open_face = crop_still(picture, detector=ShyFace()), crop_still(picture, detector=MiddleFace())
    assert shy is not None and open_face is not None
    assert np.array_equal(shy[0], open_face[0])


def test_the_cache_is_read_until_a_photograph_or_the_crop_changes(stills, tmp_path, monkeypatch):
    cache = tmp_path / "cache" / "faces.npz"
    first = load_still_faces(stills, cache=cache, detector=MiddleFace())
    again = load_still_faces(stills, cache=cache, detector=NoFace())
    assert np.array_equal(first.crops, again.crops) and np.array_equal(first.files, again.files)
    cv2.imwrite(str(stills / "00-3.bmp"), np.full((64, 64, 3), 200, dtype=np.uint8))
    changed = load_still_faces(stills, cache=cache, detector=MiddleFace())
    assert not np.array_equal(first.crops, changed.crops)
    monkeypatch.setattr(still_faces.face_cropping, "CROP_TEMPLATE", still_faces.face_cropping.CROP_TEMPLATE * 0.9)
    with pytest.raises(AssertionError, match="cache should"):
        load_still_faces(stills, cache=cache, detector=NoFace())


def test_invalid_folders_are_explained(stills, tmp_path):
    with pytest.raises(ValueError, match=r"labels\.csv"):
        load_still_faces(tmp_path)
    labels = stills / "labels.csv"
    good = labels.read_text()
    labels.write_text(good.replace("anger", "angre"))
    with pytest.raises(ValueError, match="angre"):
        load_still_faces(stills, detector=MiddleFace())
    labels.write_text(good.replace("identity", "person", 1))
    with pytest.raises(ValueError, match="identity"):
        load_still_faces(stills, detector=MiddleFace())
    labels.write_text(good + "none.bmp,anger,x\n")
    with pytest.raises(ValueError, match=r"none\.bmp"):
        load_still_faces(stills, detector=MiddleFace())
