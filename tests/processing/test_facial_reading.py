"""Facial actions, head pose and gaze from frames to clips and tensors."""

import numpy as np
import pytest
import torch
from fake_landmarks import FakeLandmarker
from synthetic_faces import RedSquareDetector, drifting_portrait
from tiny_processor import tiny_processor

from microemo.processing.clip import FACE_READINGS, Utterance
from microemo.processing.clip_reading import ClipReader, ReadingState
from microemo.processing.media_source import VideoArray
from microemo.processing.reading_settings import ReadingSettings

SETTINGS = ReadingSettings(num_frames=4, min_frames_per_utterance=1, frame_size=48, min_face_size=8)
LEFT_X, RIGHT_X = 40, 180  # px, where the two people of `two_people` are at first


def two_people(*, count: int = 50) -> VideoArray:
    """Two red squares at 25 fps; both move to the right by half a pixel a frame."""
    frames = np.full((count, 96, 240, 3), 96, dtype=np.uint8)
    for index, frame in enumerate(frames):
        for left in (LEFT_X, RIGHT_X):
            frame[30:62, left + index // 2 : left + index // 2 + 32] = (220, 40, 40)
    return VideoArray(frames, np.arange(count) / 25)


def read(source, *, landmarker=None, settings=SETTINGS, detector=None, cache_dir=None, **how):
    reader = ClipReader(settings, detector=detector or RedSquareDetector(), landmarker=landmarker, cache_dir=cache_dir)
    return list(reader.read(source, **how))


def test_every_crop_has_values_of_its_own_time():
    landmarker = FakeLandmarker()
    (clip,) = read(two_people(), landmarker=landmarker, person=0)
    assert clip.face_actions.shape == (len(clip.face_times), 52) and clip.face_actions.dtype == np.float32
    assert clip.head_pose.shape == (len(clip.face_times), 3) and clip.gaze.shape == (len(clip.face_times), 2)
    assert clip.face_actions_mask.all()
    nose = 1000 * clip.face_actions[:, 0]
    np.testing.assert_allclose(nose, LEFT_X + 16 + 12.5 * clip.face_times, atol=2)
    assert "face_actions" not in clip.missing_reasons


@pytest.mark.parametrize("settings", [SETTINGS, ReadingSettings(face_fps=25, landmark_fps=7.5, min_face_size=8)])
def test_values_of_two_people_in_one_frame_are_not_mixed(settings):
    for person, x in ((0, LEFT_X), (1, RIGHT_X)):
        utterances = [Utterance(0.0, 2.0, "hello")]
        (clip,) = read(
            two_people(), landmarker=FakeLandmarker(), settings=settings, person=person, transcript=utterances
        )
        assert set(clip.face_track_ids) == {person}
        assert np.abs(1000 * clip.face_actions[:, 0] - (x + 16 + 12.5 * clip.face_times)).max() < 2


def test_a_lower_rate_measures_less_and_interpolates():
    often, seldom = FakeLandmarker(), FakeLandmarker()
    settings = ReadingSettings(face_fps=25, landmark_fps=25, min_face_size=8)
    (fine,) = read(two_people(), landmarker=often, settings=settings, person=0)
    settings = ReadingSettings(face_fps=25, landmark_fps=8, min_face_size=8)
    (coarse,) = read(two_people(), landmarker=seldom, settings=settings, person=0)
    assert len(often.calls) > 2.5 * len(seldom.calls)
    assert len(coarse.face_times) == len(fine.face_times) and coarse.face_actions_mask.all()
    np.testing.assert_allclose(coarse.face_actions[:, 0], fine.face_actions[:, 0], atol=2e-3)


def test_too_low_rates_are_refused():
    with pytest.raises(ValueError, match=r"landmark_fps \(3\) must be >= 5"):
        ReadingSettings(landmark_fps=3)
    assert ReadingSettings(landmark_fps=2, face_fps=2, detection_fps=2).landmark_fps == 2


def test_a_missing_landmarker_is_reported():
    (clip,) = read(two_people())
    assert all(getattr(clip, name) is None for name in FACE_READINGS)
    assert clip.missing_reasons["face_actions"] == "no landmark model was given"
    assert clip.face_crops is not None


def test_given_boxes_are_measured():
    boxes = {5: [[0.0, 20, 20, 60, 60], [1.0, 20, 20, 60, 60]]}
    (clip,) = read(two_people(), landmarker=FakeLandmarker(), face_boxes=boxes)
    assert set(clip.face_track_ids) == {5} and clip.face_actions_mask.all()
    np.testing.assert_allclose(clip.face_actions[:, 0], 0.04, atol=1e-3)


def test_cached_values_equal_the_measured_ones(tmp_path):
    video = VideoArray(drifting_portrait(count=30), np.arange(30) / 25)
    how = {"detector": "centerface", "cache_dir": tmp_path}
    landmarker = FakeLandmarker(absent=(3, 4, 5, 6, 7))
    (first,) = read(video, landmarker=landmarker, **how)
    assert 0 < first.face_actions_mask.sum() < len(first.face_times)
    calls = len(landmarker.calls)
    (second,) = read(video, landmarker=landmarker, **how)
    assert len(landmarker.calls) == calls, "nothing is measured again"
    for name in FACE_READINGS:
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    (without,) = read(video, **how)
    assert without.face_actions is None, "a reading without a landmarker is another one"
    (again,) = read(video, landmarker=landmarker, **how)
    np.testing.assert_array_equal(again.face_actions, first.face_actions)


def test_a_landmarker_without_a_fingerprint_is_not_cached(tmp_path):
    class Mine(FakeLandmarker):
        fingerprint = ""

    video = VideoArray(drifting_portrait(count=10), np.arange(10) / 25)
    read(video, landmarker=Mine(), detector="centerface", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_resuming_gives_the_same_values():
    video = two_people(count=100)
    spoken = [Utterance(0.2, 1.4, "a"), Utterance(2.2, 3.6, "b")]
    how = {
        "settings": ReadingSettings(num_frames=2, max_chunk_seconds=2.0, min_face_size=8),
        "transcript": spoken,
        "person": 0,
    }
    whole = read(video, landmarker=FakeLandmarker(), **how)
    state = ReadingState()
    reader = ClipReader(how["settings"], detector=RedSquareDetector(), landmarker=FakeLandmarker())
    next(reader.read(video, transcript=spoken, person=0, state=state))
    state = ReadingState(spoken=state.spoken, chunks_read=(state.last_chunk,))
    (rest,) = read(video, landmarker=FakeLandmarker(), state=state, **how)
    np.testing.assert_array_equal(rest.face_times, whole[1].face_times)
    np.testing.assert_array_equal(rest.face_actions[:, 0], whole[1].face_actions[:, 0])
    np.testing.assert_array_equal(rest.head_pose, whole[1].head_pose)


def test_faces_keep_their_values_when_subset():
    (clip,) = read(two_people(), landmarker=FakeLandmarker(), person=0)
    half = clip.take_faces(slice(None, None, 2))
    np.testing.assert_array_equal(half.face_actions, clip.face_actions[::2])
    assert len(half.face_actions_mask) == len(half.face_crops)
    nothing = clip.without_faces()
    assert nothing.face_crops is None and nothing.face_actions is None


class TestTensors:
    def clip(self, *, absent=(), landmarker=True, seconds=2.0):
        (clip,) = read(
            two_people(count=round(25 * seconds)),
            landmarker=FakeLandmarker(absent=absent) if landmarker else None,
            settings=ReadingSettings(num_frames=2, face_size=16, min_face_size=8, frame_size=32),
            person=0,
        )
        return clip

    def test_shapes_and_types(self):
        clip = self.clip(absent=tuple(range(12, 24)))  # both people are measured in turn
        tensors = tiny_processor().from_clip(clip)
        count = len(clip.face_times)
        assert tensors["face_actions"].shape == (1, count, 52) and tensors["face_actions"].dtype == torch.float32
        assert tensors["head_pose"].shape == (1, count, 3) and tensors["gaze"].shape == (1, count, 2)
        assert tensors["face_actions_mask"].dtype == torch.bool
        np.testing.assert_array_equal(tensors["face_actions_mask"][0].numpy(), clip.face_actions_mask)
        assert 0 < int(tensors["face_actions_mask"].sum()) < count

    def test_measured_and_unmeasured_clips_share_a_batch(self):
        clips = [self.clip(landmarker=False, seconds=1.0), self.clip().without_faces(), self.clip()]
        tensors = tiny_processor().from_clip(clips)
        assert tensors["face_actions_mask"].sum(1).tolist() == [0, 0, len(clips[2].face_times)]
        assert tensors["face_actions"].shape[:2] == tensors["face_mask"].shape
        assert not tensors["face_actions"][:2].any()

    def test_no_measurements_give_no_tensor(self):
        tensors = tiny_processor().from_clip(self.clip(landmarker=False))
        assert "face_pixel_values" in tensors and not set(FACE_READINGS) & set(tensors)
