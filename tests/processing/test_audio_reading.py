import av
import numpy as np
import pytest
from synthetic_media import cut_file, join_files, moving_squares, tone, write_video, write_wav

from microemo.processing.audio_reading import lay_pieces, read_audio
from microemo.processing.media_source import VideoArray
from microemo.processing.waveforms import float_waveform


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


def test_late_audio_is_not_shifted(tmp_path):
    path = write_video(tmp_path / "late.mp4", moving_squares(), waveform=tone(seconds=0.4), audio_start_seconds=0.5)
    start, end = sounding_seconds(read_audio(path))
    assert start == pytest.approx(0.5, abs=0.01) and end == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_span_equals_the_same_part_of_the_whole(tmp_path, suffix):
    chirp = np.sin(np.cumsum(np.linspace(0.05, 0.5, 48_000))).astype(np.float32) * 0.4
    path = write_video(tmp_path / f"clip{suffix}", moving_squares(count=75), waveform=chirp)
    whole = read_audio(path)
    part = read_audio(path, start_seconds=1.25, end_seconds=2.0)
    assert len(part) == 12_000
    np.testing.assert_allclose(part, whole[20_000:32_000], atol=2e-3)


def test_audio_beyond_the_end_is_zero(tmp_path):
    waveform = read_audio(write_wav(tmp_path / "short.wav", tone(seconds=0.5)), end_seconds=2.0)
    assert len(waveform) == 32_000 and not waveform[8_100:].any()


def test_no_audio_stream(tmp_path):
    assert read_audio(write_video(tmp_path / "mute.mp4", moving_squares())) is None


def test_truncated_audio_is_read_as_far_as_possible(tmp_path):
    whole = read_audio(write_wav(tmp_path / "sound.wav", tone(seconds=2.0)))
    cut = read_audio(cut_file(tmp_path / "sound.wav", part=0.5))
    assert len(cut) == pytest.approx(16_000, abs=1_100)
    np.testing.assert_allclose(cut, whole[: len(cut)], atol=1e-6)


def write_sound(path, waveform, *, sampling_rate, codec, layout):
    channels = {"mono": 1, "stereo": 2}[layout]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sampling_rate, layout=layout)
        planes = np.ascontiguousarray(waveform[None].repeat(channels, 0))
        step = stream.codec_context.frame_size or 1024
        for first in range(0, planes.shape[1], step):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(planes[:, first : first + step]), format="fltp", layout=layout
            )
            frame.sample_rate, frame.pts = sampling_rate, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("suffix", "codec"), [(".mp3", "libmp3lame"), (".aac", "aac")])
def test_rate_and_channels_may_change_within_a_stream(tmp_path, suffix, codec):
    mono = tone(seconds=1.0, sampling_rate=44_100)
    stereo = tone(seconds=1.0, sampling_rate=48_000, frequency=880)
    first = write_sound(tmp_path / f"a{suffix}", mono, sampling_rate=44_100, codec=codec, layout="mono")
    second = write_sound(tmp_path / f"b{suffix}", stereo, sampling_rate=48_000, codec=codec, layout="stereo")
    waveform = read_audio(join_files(tmp_path / f"joined{suffix}", first, second))
    assert len(waveform) == pytest.approx(32_000, abs=3_500)
    assert dominant_frequency(waveform[2_000:14_000]) == pytest.approx(440, abs=3)
    assert dominant_frequency(waveform[-12_000:-2_000]) == pytest.approx(880, abs=3)


@pytest.mark.parametrize(("dtype", "scale"), [("int16", 2**15), ("int32", 2**31), ("int8", 2**7)])
def test_integer_waveforms_are_scaled_by_their_type(dtype, scale):
    frames, sound = np.zeros((1, 4, 4, 3), dtype=np.uint8), tone(seconds=0.5, amplitude=0.9)
    integers = np.round(sound * (scale - 1)).astype(dtype)
    waveform = read_audio(VideoArray(frames, np.zeros(1), waveform=integers))
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, sound, atol=max(2 / scale, 1e-6))


def test_unsigned_bytes_are_centred():
    assert float_waveform(np.array([0, 128, 255], dtype=np.uint8)).tolist() == [-1, 0, pytest.approx(0.992, abs=1e-3)]


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.array([0, 20_000.0], dtype=np.float32), r"lie in \[-1, 1\], its peak is 20000; .*32768 for int16"),
        (np.array([0, np.nan]), "finite"),
        (np.array(["a"]), "floats, int8, int16, int32 or uint8, got <U1"),
        (np.array([1, 2]), "got int64"),
    ],
)
def test_unscalable_waveforms_are_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        VideoArray(np.zeros((1, 4, 4, 3), dtype=np.uint8), np.zeros(1), waveform=waveform)


def test_arrays_are_resampled():
    frames = np.zeros((1, 4, 4, 3), dtype=np.uint8)
    sound = tone(seconds=1.0, sampling_rate=48_000)
    waveform = read_audio(VideoArray(frames, np.zeros(1), waveform=sound, sampling_rate=48_000))
    assert len(waveform) == pytest.approx(16_000, abs=20)
    assert dominant_frequency(waveform) == pytest.approx(440, abs=2)
    assert read_audio(VideoArray(frames, np.zeros(1))) is None


def test_pieces_are_placed_on_the_clock():
    pieces = [(0.2, np.ones(2, dtype=np.float32)), (0.5, np.full(3, 2, dtype=np.float32))]
    laid = lay_pieces(pieces, sampling_rate=10, start_seconds=0.0, end_seconds=1.0)
    assert laid.tolist() == [0, 0, 1, 1, 0, 2, 2, 2, 0, 0]
    assert lay_pieces(pieces, sampling_rate=10, start_seconds=0.3, end_seconds=0.6).tolist() == [1, 0, 2]
    assert lay_pieces(pieces, sampling_rate=10, start_seconds=0.3, end_seconds=None).tolist() == [1, 0, 2, 2, 2]


def test_invalid_arguments_are_refused(tmp_path):
    path = write_wav(tmp_path / "sound.wav", tone(seconds=0.1))
    with pytest.raises(ValueError, match="sampling_rate must be >= 1, got 0"):
        read_audio(path, sampling_rate=0)
    with pytest.raises(ValueError, match="need 0 <= start_seconds < end_seconds, got 2 and 1"):
        read_audio(path, start_seconds=2, end_seconds=1)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF but no more")
    with pytest.raises(ValueError, match=r"broken\.wav is not a readable"):
        read_audio(broken)
