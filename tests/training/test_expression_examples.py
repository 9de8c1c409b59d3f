"""Examples of the expression classifier from photographs and video segments."""

from functools import partial

import cv2
import numpy as np
import pytest
from fake_landmarks import FakeLandmarker
from labelled_clips import write_csv
from synthetic_media import write_video
from tiny_faces import MiddleFace, tiny_classifier, write_stills

from microemo.data import still_faces
from microemo.data.labelled_segments import LabelledSegment
from microemo.processing.clip_reading import ClipReader
from microemo.processing.facial_actions import USUAL_REST
from microemo.training.face_tower.classifier import classify_faces
from microemo.training.perception import expression_examples
from microemo.training.perception.expression_examples import (
    FaceFeatures,
    clip_faces,
    segment_examples,
    still_examples,
    tower_features,
)

WIDTH = 5


@pytest.fixture
def tower():
    return tiny_classifier().eval()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(expression_examples, "create_still_detector", MiddleFace)
    monkeypatch.setattr(expression_examples, "ClipReader", partial(ClipReader, detector=MiddleFace()))
    monkeypatch.setattr(still_faces, "CROP_SIZE", 32)
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def silent(stage, done, total):
    pass


def features_of(seconds=10.0, *, fps=30.0, value=0.0):
    times = np.arange(0, seconds, 1 / fps)
    features = np.stack([times, *[np.full_like(times, value)] * (WIDTH - 1)], axis=1)
    return FaceFeatures(features, np.zeros((len(times), 104)), np.ones(len(times), bool), times)


def segment(file="a.mp4", person="Anna", start=1.0, end=3.0, expression="happiness", **more):
    return LabelledSegment(file, person, start, end, expression, **{"is_talking": False, "is_licensed": True, **more})


class TestStills:
    def test_every_photograph_with_a_face_is_an_example(self, tower, cache, tmp_path):
        folder = write_stills(tmp_path / "stills")
        landmarker = FakeLandmarker(absent=(3,))
        examples = still_examples(folder, tower=tower, landmarker=landmarker, cache=cache, progress=silent)
        rows = still_faces.read_labels(folder)
        assert len(landmarker.calls) == len(examples.labels) == len(rows)
        assert examples.weights.tolist() == [1.0] * len(rows)
        assert examples.people.tolist() == [row.identity for row in rows]
        faces = examples.faces
        assert np.flatnonzero(~faces.is_measured).tolist() == [3]
        assert not faces.actions[3].any() and faces.actions[4, 1] == 4  # the fifth call of the fake
        np.testing.assert_allclose(faces.actions[4, 52:], faces.actions[4, :52] - USUAL_REST, atol=1e-6)

    def test_examples_are_cached(self, tower, cache, tmp_path):
        folder = write_stills(tmp_path / "stills")
        first = still_examples(folder, tower=tower, landmarker=FakeLandmarker(), cache=cache, progress=silent)
        landmarker = FakeLandmarker()
        again = still_examples(folder, tower=tower, landmarker=landmarker, cache=cache, progress=silent)
        assert not landmarker.calls
        np.testing.assert_array_equal(first.faces.features, again.faces.features)
        np.testing.assert_array_equal(first.labels, again.labels)

    def test_unreadable_photograph_is_an_error(self, tower, cache, tmp_path):
        write_csv(tmp_path / "labels.csv", ("file", "emotion", "identity"), ("lost.png", "fear", "Anna"))
        with pytest.raises(ValueError, match=r"labels.csv names lost.png, but OpenCV cannot read .*lost.png"):
            still_examples(tmp_path, tower=tower, landmarker=FakeLandmarker(), cache=cache, progress=silent)

    def test_folder_without_faces_is_an_error(self, tower, cache, tmp_path):
        folder = write_stills(tmp_path / "stills")
        for path in folder.glob("*.bmp"):
            cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(ValueError, match="no face was found in any of its 96 photographs"):
            still_examples(folder, tower=tower, landmarker=FakeLandmarker(), cache=cache, progress=silent)


class TestClips:
    @staticmethod
    def write(path, *, brightness=120):
        frames = np.random.default_rng(0).integers(brightness, brightness + 60, (12, 64, 64, 3), dtype=np.uint8)
        return write_video(path, frames, frame_rate=10)

    def test_every_crop_of_a_clip_is_an_example(self, tower, cache, tmp_path):
        path = tmp_path / "a.mp4"
        self.write(path)
        landmarker = FakeLandmarker(absent=(2, 3))
        faces = clip_faces(path, tower=tower, landmarker=landmarker, cache=cache)
        count = len(faces.times)
        assert count >= 12 and np.all(np.diff(faces.times) > 0)
        assert faces.actions.shape == (count, 104) and np.isfinite(faces.features).all()
        # A single missing measurement is interpolated, two in a row are not.
        assert np.sum(~faces.is_measured) == 2 and not faces.actions[~faces.is_measured].any()
        assert faces.actions[faces.is_measured].any(axis=1).all()
        landmarker.calls.clear()
        again = clip_faces(path, tower=tower, landmarker=landmarker, cache=cache)
        assert not landmarker.calls
        np.testing.assert_array_equal(again.actions, faces.actions)

    def test_clip_without_a_face_gives_none(self, tower, cache, tmp_path):
        path = tmp_path / "dark.mp4"
        write_video(path, np.zeros((6, 64, 64, 3), np.uint8), frame_rate=10)
        assert clip_faces(path, tower=tower, landmarker=FakeLandmarker(), cache=cache) is None


class TestSegments:
    def test_crops_near_segment_borders_are_left_out(self):
        examples = segment_examples([segment()], {"a.mp4": features_of()}, rate=5.0, weight=3.0, most=20)
        times = examples.faces.times
        assert times.min() >= 1.1 and times.max() <= 2.9
        np.testing.assert_allclose(np.diff(times), 0.2)
        np.testing.assert_array_equal(examples.faces.features[:, 0], times)
        assert set(examples.people) == {"Anna"} and set(examples.labels) == {1}
        assert examples.weights.tolist() == [3.0] * len(times)

    def test_weight_of_long_segments_is_limited(self):
        long, short = segment(end=9.0), segment(file="b.mp4", person="Ben", expression="fear", end=2.0)
        clips = {"a.mp4": features_of(), "b.mp4": features_of(value=1.0)}
        examples = segment_examples([long, short], clips, rate=5.0, weight=3.0, most=20)
        sums = {name: examples.weights[examples.people == name].sum() for name in ("Anna", "Ben")}
        assert sums["Anna"] == pytest.approx(3.0 * 20) and (examples.people == "Anna").sum() > 20
        assert sums["Ben"] == pytest.approx(3.0 * (examples.people == "Ben").sum())
        assert set(examples.faces.features[examples.people == "Ben", 1]) == {1.0}

    def test_clips_without_a_face_are_left_out(self):
        lost = segment(file="lost.mp4", person="Lou")
        examples = segment_examples([lost, segment()], {"a.mp4": features_of()}, rate=5.0, weight=1.0, most=20)
        assert set(examples.people) == {"Anna"}
        for segments in ([lost], [segment(start=20.0, end=21.0)], []):
            with pytest.raises(ValueError, match="no face was found in any of"):
                segment_examples(segments, {"a.mp4": features_of()}, rate=5.0, weight=1.0, most=20)


def test_tower_features_are_the_classifiers_inputs(tower):
    crops = np.random.default_rng(0).integers(0, 256, (70, 32, 32), dtype=np.uint8)  # more than a batch
    features = tower_features(tower, crops)
    layer = tower.static_expression
    logits = features @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(logits, classify_faces(tower, crops), atol=1e-3, rtol=1e-3)
