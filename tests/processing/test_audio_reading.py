import numpy as np
import pytest
from synthetic_media import cut_file, moving_squares, tone, write_video, write_wav

from microemo.processing.audio_reading import lay_pieces, read_audio
from microemo.processing.media_source import VideoArray


def sounding_seconds(waveform, sampling_rate=16_000):
    loud = np.flatnonzero(np.abs(waveform) > 0.05)
    return loud[0] / sampling_rate, loud[-1] / sampling_rate


def dominant_frequency(waveform, sampling_rate=16_000):
    return np.argmax(np.abs(np.fft.rfft(waveform))) * sampling_rate / len(waveform)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2), (48_000, 6)])
def test_any_rate_and_channels_become_mono_16k(tmp_path, rate, channels):
    sound = np.repeat(tone(seconds=1.0, sampling_rate=rate)[:, None], channels, axis=1)
    waveform = read_audio(write_wav(tmp_path / "sound.wav", sound, sampling_rate=rate))
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert len(waveform) == pytest.approx(16_000, abs=20)
    assert np.abs(waveform).max() <= 1
    assert dominant_frequency(waveform) == pytest.approx(440, abs=2)


def test_surround_sound_of_a_video(tmp_path):
    sound = np.stack([tone(seconds=1.0, sampling_rate=48_000, amplitude=0.1)] * 6, axis=1)
    path = write_video(tmp_path / "surround.mp4", moving_squares(), waveform=sound, sampling_rate=48_000)
    assert dominant_frequency(read_audio(path)[:16_000]) == pytest.approx(440, abs=2)


def test_sound_that_starts_late_is_not_moved(tmp_path):
    path = write_video(tmp_path / "late.mp4", moving_squares(), waveform=tone(seconds=0.4), audio_start_seconds=0.5)
    start, end = sounding_seconds(read_audio(path))
    assert start == pytest.approx(0.5, abs=0.01) and end == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_window_equals_the_same_part_of_the_whole(tmp_path, suffix):
    chirp = np.sin(np.cumsum(np.linspace(0.05, 0.5, 48_000))).astype(np.float32) * 0.4
    path = write_video(tmp_path / f"clip{suffix}", moving_squares(count=75), waveform=chirp)
    whole = read_audio(path)
    part = read_audio(path, start_seconds=1.25, end_seconds=2.0)
    assert len(part) == 12_000
    np.testing.assert_allclose(part, whole[20_000:32_000], atol=2e-3)


def test_beyond_the_end_there_are_zeros(tmp_path):
    waveform = read_audio(write_wav(tmp_path / "short.wav", tone(seconds=0.5)), end_seconds=2.0)
    assert len(waveform) == 32_000 and not waveform[8_100:].any()


def test_no_audio_stream(tmp_path):
    assert read_audio(write_video(tmp_path / "mute.mp4", moving_squares())) is None


def test_cut_sound_gives_what_is_there(tmp_path):
    whole = read_audio(write_wav(tmp_path / "sound.wav", tone(seconds=2.0)))
    cut = read_audio(cut_file(tmp_path / "sound.wav", part=0.5))
    assert len(cut) == pytest.approx(16_000, abs=1_100)
    np.testing.assert_allclose(cut, whole[: len(cut)], atol=1e-6)


def test_arrays_are_resampled():
    frames = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    sound = tone(seconds=1.0, sampling_rate=48_000)
    waveform = read_audio(VideoArray(frames, np.zeros(1), waveform=sound, sampling_rate=48_000))
    assert len(waveform) == pytest.approx(16_000, abs=20)
    assert dominant_frequency(waveform) == pytest.approx(440, abs=2)
    assert read_audio(VideoArray(frames, np.zeros(1))) is None


def test_pieces_are_laid_on_the_clock():
    pieces = [(0.2, np.ones(2, dtype=np.float32)), (0.5, np.full(3, 2, dtype=np.float32))]
    laid = lay_pieces(pieces, sampling_rate=10, start_seconds=0.0, end_seconds=1.0)
    assert laid.tolist() == [0, 0, 1, 1, 0, 2, 2, 2, 0, 0]
    assert lay_pieces(pieces, sampling_rate=10, start_seconds=0.3, end_seconds=0.6).tolist() == [1, 0, 2]
    assert lay_pieces(pieces, sampling_rate=10, start_seconds=0.3, end_seconds=None).tolist() == [1, 0, 2, 2, 2]


def test_arguments_are_checked(tmp_path):
    path = write_wav(tmp_path / "sound.wav", tone(seconds=0.1))
    with pytest.raises(ValueError, match="sampling_rate must be >= 1, got 0"):
        read_audio(path, sampling_rate=0)
    with pytest.raises(ValueError, match="need 0 <= start_seconds < end_seconds, got 2 and 1"):
        read_audio(path, start_seconds=2, end_seconds=1)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF but no more")
    with pytest.raises(ValueError, match=r"broken\.wav is not a readable"):
        read_audio(broken)
