"""Clips of examples: audio, faces and words of the data set, and the cache."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from fake_landmarks import FakeLandmarker
from labelled_clips import CLIP_SECONDS, FRAMES, write_clip, write_faces, write_sound

from microemo.data.clip_features import ARRAYS, ClipLoader
from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.face_arrays import read_face_array
from microemo.processing.clip import FACE_READINGS, Utterance
from microemo.processing.face_detection import FaceDetections
from microemo.processing.reading_settings import ReadingSettings

SETTINGS = ReadingSettings(num_frames=4, min_frames_per_utterance=1, face_size=24, face_fps=25.0)
JOY, FEAR = EmotionTargets(closed_label="joy"), EmotionTargets(closed_label="fear")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    write_clip(root / "a.mp4")
    write_sound(root / "a.wav", seconds=1.0)
    write_faces(root / "a.npy")
    return root


def loader(**changes):
    return ClipLoader(SETTINGS, detector=None, **changes)


def test_an_utterance_without_times_is_the_clip(folder):
    read = loader().load(
        Example("a", video=str(folder / "a.mp4"), utterances=(LabelledUtterance("hello", targets=JOY),))
    )
    (utterance,) = read.clip.utterances
    assert utterance.text == "hello" and utterance.start_seconds == 0.0
    assert utterance.end_seconds == pytest.approx(CLIP_SECONDS, abs=0.1) and read.targets == (JOY,)


def test_labels_stay_with_their_utterance_when_utterances_are_sorted(folder):
    spoken = (LabelledUtterance("second", 1.0, 1.8, "Ben", FEAR), LabelledUtterance("", 0.1, 0.8, None, JOY))
    read = loader().load(Example("a", video=str(folder / "a.mp4"), utterances=spoken))
    assert [each.text for each in read.clip.utterances] == ["", "second"], "an utterance without words keeps its place"
    assert read.clip.utterances[1].speaker == "Ben" and read.targets == (JOY, FEAR)


def test_openface_faces_are_converted_to_rgb_with_times(folder):
    read = loader().load(Example("a", video=str(folder / "a.mp4"), faces=str(folder / "a.npy")))
    stored = np.load(folder / "a.npy")
    assert np.array_equal(read.clip.face_crops, stored[..., ::-1])
    np.testing.assert_allclose(read.clip.face_times, np.arange(FRAMES) / 25.0, atol=1e-3)
    assert "faces" not in read.clip.missing_reasons and set(read.clip.face_track_ids) == {0}


def test_black_faces_are_frames_without_a_face(tmp_path):
    faces = write_faces(tmp_path / "b.npy", count=10)
    faces[3:6] = 0
    np.save(tmp_path / "b.npy", faces)
    read = read_face_array(tmp_path / "b.npy", frame_times=np.arange(10) / 10, size=24, face_fps=10.0)
    np.testing.assert_allclose(read.times, [0.0, 0.1, 0.2, 0.6, 0.7, 0.8, 0.9])


def test_mismatched_face_count_is_spread_and_reported(tmp_path):
    write_faces(tmp_path / "b.npy", count=5)
    read = read_face_array(tmp_path / "b.npy", frame_times=np.arange(9) / 10, size=12, face_fps=100.0)
    np.testing.assert_allclose(read.times, [0.0, 0.2, 0.4, 0.6, 0.8])
    assert read.crops.shape == (5, 12, 12, 3) and "5 aligned faces for 9 frames" in read.warnings[0]


def test_faces_are_thinned_to_the_rate_of_the_settings(tmp_path):
    write_faces(tmp_path / "b.npy", count=30)
    read = read_face_array(tmp_path / "b.npy", frame_times=np.arange(30) / 30, size=24, face_fps=10.0)
    np.testing.assert_allclose(read.times, np.arange(10) / 10, atol=1e-9)


def test_array_of_wrong_shape_is_refused(tmp_path):
    np.save(tmp_path / "b.npy", np.zeros((3, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"\(N, H, W, 3\) uint8, got \(3, 4, 4\) float32"):
        read_face_array(tmp_path / "b.npy", frame_times=np.arange(3), size=8, face_fps=5.0)


def test_separate_audio_file_takes_precedence(folder):
    with_video = loader().load(Example("a", video=str(folder / "a.mp4"), audio=str(folder / "a.wav")))
    alone = loader().load(Example("a", audio=str(folder / "a.wav"), utterances=(LabelledUtterance("hm"),)))
    heard, silence = with_video.clip.waveform[:16_000], with_video.clip.waveform[16_000:]
    assert np.array_equal(heard, alone.clip.waveform) and not silence.any(), "the sound ends before the video"
    assert with_video.clip.frames is not None and alone.clip.frames is None


def test_words_only_clip_has_speaking_duration():
    read = loader().load(Example("a", utterances=(LabelledUtterance("one two three"),)))
    assert read.clip.end_seconds == pytest.approx(1.2) and set(read.clip.missing_reasons) == {
        "frames",
        "faces",
        "audio",
    }


def test_transcript_splits_the_sample(folder):
    (folder / "a.txt").write_text("0.10\t0.80\tOh no\n0.90\t1.70\tNot again\n", encoding="utf-8")
    example = Example("a", video=str(folder / "a.mp4"), transcript=str(folder / "a.txt"))
    read = loader().load(replace(example, utterances=(LabelledUtterance("Oh no not again", targets=FEAR),)))
    assert [each.text for each in read.clip.utterances] == ["Oh no", "Not again"] and read.targets == (FEAR, FEAR)


def test_utterances_are_recognised_only_where_there_are_none(folder):
    class Recognizer:
        def transcribe(self, waveform, *, language=None, progress=None):
            return (Utterance(0.2, 1.0, "heard"),)

    listening = loader(recognizer=Recognizer())
    example = Example("a", video=str(folder / "a.mp4"), targets=JOY)
    read = listening.load(example)
    assert read.clip.utterances[0].text == "heard" and read.targets == (JOY,)
    read = listening.load(replace(example, utterances=(LabelledUtterance("given"),)))
    assert [each.text for each in read.clip.utterances] == ["given"]


def test_clips_are_cached_by_content(folder, tmp_path, monkeypatch):
    example = Example(
        "a",
        video=str(folder / "a.mp4"),
        faces=str(folder / "a.npy"),
        utterances=(LabelledUtterance("hello", 0.2, 1.0, "Anna"),),
    )
    first = loader(cache_dir=tmp_path).load(example).clip
    kept = loader(cache_dir=tmp_path)
    monkeypatch.setattr(kept, "_read", lambda *arguments: pytest.fail("read again"))
    # The same files under another name and with other words have the same cache key.
    copy = tmp_path / "copy.mp4"
    copy.write_bytes((folder / "a.mp4").read_bytes())
    again = kept.load(replace(example, video=str(copy), utterances=(LabelledUtterance("bye", 0.2, 1.0),))).clip
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    assert again.utterances == (Utterance(0.2, 1.0, "bye"),) and again.missing_reasons == first.missing_reasons
    with pytest.raises(pytest.fail.Exception, match="read again"):
        kept.load(replace(example, utterances=(LabelledUtterance("hello", 0.2, 1.1, "Anna"),)))


def test_settings_are_part_of_the_cache_key(folder, tmp_path):
    example = Example("a", video=str(folder / "a.mp4"))
    few = loader(cache_dir=tmp_path).load(example).clip
    many = ClipLoader(replace(SETTINGS, num_frames=8), detector=None, cache_dir=tmp_path).load(example).clip
    assert len(few.frames) == 4 and len(many.frames) == 8


def test_an_unreadable_example_is_named(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(ValueError, match="example 'x' cannot be read"):
        loader().load(Example("x", video=str(tmp_path / "bad.mp4")))


def test_several_utterances_need_times(folder):
    spoken = (LabelledUtterance("a"), LabelledUtterance("b"))
    with pytest.raises(ValueError, match="2 of 2 utterances have no times"):
        loader().load(Example("a", video=str(folder / "a.mp4"), utterances=spoken))


def test_loader_can_be_pickled(folder):
    used = ClipLoader(SETTINGS, detector="centerface")
    example = Example("a", video=str(folder / "a.mp4"))
    clip = used.load(example).clip
    assert np.array_equal(pickle.loads(pickle.dumps(used)).load(example).clip.frames, clip.frames)


class FindsOneFace:
    """A landmarker with a name and a detector of one face."""

    def detect(self, frames):
        points = np.array([[[20, 20], [40, 20], [30, 30], [22, 40], [38, 40]]], np.float32)
        return [
            FaceDetections(np.array([[10, 8, 50, 52]], np.float32), points, np.ones(1, np.float32)) for _ in frames
        ]


def test_facial_measurements_are_cached(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("microemo.processing.clip_reading.create_detector", lambda *_, **__: FindsOneFace())
    example = Example("a", video=str(folder / "a.mp4"))
    landmarker = FakeLandmarker()
    first = ClipLoader(SETTINGS, landmarker=landmarker, cache_dir=tmp_path).load(example).clip
    calls = len(landmarker.calls)
    second = ClipLoader(SETTINGS, landmarker=landmarker, cache_dir=tmp_path).load(example).clip
    assert calls == len(landmarker.calls) > 0 and first.face_actions_mask.all()
    for name in FACE_READINGS:
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    without = ClipLoader(SETTINGS, cache_dir=tmp_path).load(example).clip
    assert without.face_actions is None and len(without.face_crops) == len(first.face_crops)


def test_cache_needs_a_landmarker_fingerprint(tmp_path):
    with pytest.raises(ValueError, match="cache_dir needs a landmarker with a fingerprint, object has none"):
        ClipLoader(SETTINGS, landmarker=object(), cache_dir=tmp_path)
