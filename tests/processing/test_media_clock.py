"""Files whose timestamps start far from zero, or restart within the file."""

import numpy as np
import pytest
from synthetic_faces import RedSquareDetector
from synthetic_media import cut_file, frame_number, join_files, moving_squares, tone, write_video

from microemo.processing.audio_reading import read_audio
from microemo.processing.clip_reading import ClipReader
from microemo.processing.media_index import index_media
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.video_reading import open_video


def numbers_of(reader, expected=None):
    batches = reader.read(range(len(reader)) if expected is None else expected)
    return [frame_number(picture) for _, pictures in batches for picture in pictures]


def frequency_at(waveform, seconds):
    part = waveform[round(seconds * 16_000) :][:8_000]
    return np.argmax(np.abs(np.fft.rfft(part))) * 2


@pytest.fixture
def joined(tmp_path):
    first = write_video(tmp_path / "a.ts", moving_squares(count=50), waveform=tone(seconds=2.0))
    second = write_video(tmp_path / "b.ts", moving_squares(count=50), waveform=tone(seconds=2.0, frequency=880))
    return join_files(tmp_path / "joined.ts", first, second)


def test_joined_recordings_follow_each_other(tmp_path):
    part = write_video(tmp_path / "part.ts", moving_squares(count=50))
    with open_video(join_files(tmp_path / "joined.ts", part, part)) as reader:
        assert len(reader) == 100 and reader.duration_seconds == pytest.approx(4.0)
        np.testing.assert_allclose(np.diff(reader.times), 0.04, atol=1e-6)
        assert numbers_of(reader) == [*range(50), *range(50)]
        assert numbers_of(reader, [3, 52, 99]) == [3, 2, 49]
        (warning,) = reader.warnings
    assert "times jump at 2.0 s (from 2.0 to 0.1 s as stored)" in warning


def test_audio_of_joined_recordings_stays_in_sync(joined):
    index = index_media(joined)
    assert len(index.video.times) == 100 and index.end_seconds == pytest.approx(4.1, abs=0.1)
    whole = read_audio(joined)
    assert [frequency_at(whole, seconds) for seconds in (0.5, 2.6)] == [440, 880]
    for start in (0.5, 2.5):  # a span equals the same part of the whole
        window = read_audio(joined, start_seconds=start, end_seconds=start + 1, index=index)
        np.testing.assert_array_equal(window, whole[round(start * 16_000) :][:16_000])


def test_a_joined_recording_gives_one_warning(joined):
    settings = ReadingSettings(num_frames=8, frame_size=48, min_face_size=8)
    (clip,) = ClipReader(settings, detector=RedSquareDetector()).read(joined, person="largest")
    assert len(clip.warnings) == 1 and "recordings were joined" in clip.warnings[0]
    assert np.all(np.diff(clip.face_times) > 0)
    assert max(track.times[-1] for track in clip.tracks) > 3.9 and clip.frame_times[-1] > 3.7
    assert clip.end_seconds == pytest.approx(4.1, abs=0.1)


def test_the_frame_size_may_change_between_recordings(tmp_path):
    first = write_video(tmp_path / "a.ts", moving_squares(count=30))
    second = write_video(tmp_path / "b.ts", moving_squares(count=30, height=120, width=240))
    with open_video(join_files(tmp_path / "joined.ts", first, second)) as reader:
        pictures = [picture for _, batch in reader.read(range(len(reader))) for picture in batch]
        assert len(pictures) == 60 and all(picture.shape == (96, 128, 3) for picture in pictures)
        # The wider recording is letterboxed, not squeezed: its square stays square, within 64 of the 96 lines.
        assert not pictures[45][:14].any() and not pictures[45][-14:].any()
        red = (pictures[45][..., 0] > 150) & (pictures[45][..., 1] < 110)
        height, width = np.ptp(np.flatnonzero(red.any(1))) + 1, np.ptp(np.flatnonzero(red.any(0))) + 1
        assert abs(int(height) - int(width)) <= 2
        assert any("shape changes within the video (to 240x120)" in warning for warning in reader.warnings)


def test_a_truncated_recording_before_another_loses_only_its_end(tmp_path):
    whole = write_video(tmp_path / "whole.ts", moving_squares(count=50))
    cut = write_video(tmp_path / "cut.ts", moving_squares(count=50))
    with open_video(join_files(tmp_path / "joined.ts", cut_file(cut, part=0.6), whole)) as reader:
        numbers = numbers_of(reader)
        assert len(reader) >= 75 and numbers[-50:] == list(range(50))
        assert np.all(np.diff(reader.times) > 0)


@pytest.mark.parametrize("later", [30.0, 3600.0])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_the_clock_starts_at_the_first_sample(tmp_path, suffix, later):
    path = write_video(
        tmp_path / f"late{suffix}",
        moving_squares(count=50),
        times=later + np.arange(50) / 25,
        waveform=tone(seconds=2.0),
        audio_start_seconds=later,
    )
    index = index_media(path)
    assert index.end_seconds == pytest.approx(2.0, abs=0.15)
    assert index.video.times[0] == pytest.approx(0, abs=0.07)  # the audio starts a little earlier
    (note,) = index.warnings
    assert f"times begin at {later:.1f} s" in note or f"times begin at {later - 0.1:.1f} s" in note
    waveform = read_audio(path)
    assert np.abs(waveform[: 16_000 // 5]).max() > 0.1 and len(waveform) / 16_000 == pytest.approx(2.0, abs=0.15)
    np.testing.assert_array_equal(read_audio(path, start_seconds=1.0, end_seconds=1.5), waveform[16_000:24_000])
    with open_video(path) as reader:
        assert numbers_of(reader, [0, 30]) == [0, 30]


def test_a_late_video_stream_is_not_shifted(tmp_path):
    path = write_video(tmp_path / "late.mkv", moving_squares(count=5), times=0.5 + np.arange(5) / 25)
    index = index_media(path)
    assert index.video.times[0] == pytest.approx(0.5) and index.warnings == ()
