"""Files with several audio tracks."""

import av
import numpy as np
import pytest
from synthetic_media import moving_squares, tone, write_video

from microemo.processing.audio_reading import read_audio
from microemo.processing.clip_reading import ClipReader
from microemo.processing.media_index import index_media

SILENCE = np.zeros(16_000, dtype=np.float32)


def write_tracks(path, tracks):
    """Writes a Matroska file of audio tracks (waveform, language, title, dispositions)."""
    with av.open(str(path), "w") as container:
        streams = []
        for _, language, title, dispositions in tracks:
            stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
            stream.metadata.update({"language": language, "title": title})
            stream.disposition = av.stream.Disposition(0)
            for name in dispositions:
                stream.disposition |= av.stream.Disposition[name]
            streams.append(stream)
        for stream, (waveform, *_) in zip(streams, tracks, strict=True):
            samples = np.round(waveform[None] * 32_767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.fixture
def film(tmp_path):
    low, high = tone(seconds=1.0), tone(seconds=1.0, frequency=880)
    return write_tracks(
        tmp_path / "film.mkv",
        [
            (SILENCE, "und", "", ()),
            (low, "fre", "Version", ("default",)),
            (high, "eng", "", ()),
            (high, "eng", "x", ()),
        ],
    )


def read_track(path, **choice):
    waveform = read_audio(path, **choice)
    return 0 if not waveform.any() else int(np.argmax(np.abs(np.fft.rfft(waveform[:16_000]))))


def test_the_default_track_is_used(film):
    assert read_track(film) == 440
    assert index_media(film).audio_track == 1


@pytest.mark.parametrize(
    ("language", "expected"), [("en", 880), ("eng", 880), ("fr", 440), ("en-GB", 880), ("de", 440)]
)
def test_the_requested_language_is_preferred(film, language, expected):
    assert read_track(film, language=language) == expected


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (1, 440), (2, 880)])
def test_a_track_can_be_selected_by_number(film, number, expected):
    assert read_track(film, audio_track=number, language="fr") == expected


@pytest.mark.parametrize("number", [-1, 4])
def test_unknown_track_numbers_are_refused(film, number):
    with pytest.raises(ValueError, match=rf"audio tracks \(it has 4, numbered from 0\), got {number}"):
        read_audio(film, audio_track=number)


def test_track_numbers_are_refused_for_silent_files(tmp_path):
    mute = write_video(tmp_path / "mute.mp4", moving_squares(count=3))
    with pytest.raises(ValueError, match=r"\(it has none\), got 0"):
        index_media(mute, audio_track=0)


def test_commentary_comes_last(tmp_path):
    talk, film = tone(seconds=1.0, frequency=880), tone(seconds=1.0)
    path = write_tracks(tmp_path / "c.mkv", [(talk, "eng", "", ("comment", "default")), (film, "eng", "", ())])
    assert read_track(path) == 440 and read_track(path, language="en") == 440


def test_a_warning_names_the_track(film):
    reader = ClipReader(detector=None)
    (clip,) = reader.read(film)
    assert clip.warnings == (
        "of 4 audio tracks, number 1 (fre, Version, default) was used; audio_track selects another, from 0",
    )
    (clip,) = reader.read(film, audio_track=2)
    assert clip.warnings[0].startswith("of 4 audio tracks, number 2 (eng) was used")
    assert np.argmax(np.abs(np.fft.rfft(clip.waveform[:16_000]))) == 880
