import av
import numpy as np
import pytest
from synthetic_media import cut_file, moving_squares, rotate_display, tone, write_video, write_wav

from microemo.processing.media_index import index_media


def test_video_with_sound(tmp_path):
    index = index_media(write_video(tmp_path / "clip.mp4", moving_squares(), waveform=tone(seconds=1.5)))
    assert index.has_audio and index.video.plain and index.warnings == ()
    np.testing.assert_allclose(index.video.times, np.arange(25) / 25, atol=1e-6)
    assert index.video.end_seconds == pytest.approx(1.0)
    assert index.end_seconds == pytest.approx(1.5, abs=0.05)


def test_sound_alone(tmp_path):
    index = index_media(write_wav(tmp_path / "sound.wav", tone(seconds=0.5)))
    assert index.video is None and index.has_audio and index.end_seconds == pytest.approx(0.5)


def test_keyframes_are_known(tmp_path):
    index = index_media(write_video(tmp_path / "clip.mp4", moving_squares(count=40))).video
    assert np.isin(index.keyframes, index.timestamps).all()
    assert len(index.keyframes) >= 4  # at least every 12 frames


def test_the_clock_of_a_transport_stream_begins_with_it(tmp_path):
    path = write_video(tmp_path / "clip.ts", moving_squares(), waveform=tone(seconds=1.0))
    with av.open(str(path)) as container:
        container.seek(0)
        packet = next(packet for packet in container.demux(container.streams.video[0]) if packet.size)
        container_start = container.start_time / 1_000_000
        stored = float(packet.pts * packet.time_base)
    assert container_start > 0
    assert index_media(path).video.times[0] == pytest.approx(stored - container_start, abs=1e-4)


def test_rotation_is_not_plain(tmp_path):
    path = rotate_display(write_video(tmp_path / "clip.mp4", moving_squares()), clockwise_degrees=90)
    video = index_media(path).video
    assert (video.width, video.height, video.quarter_turns, video.plain) == (96, 128, 3, False)


def test_non_square_pixels_are_stretched(tmp_path):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        for picture in moving_squares(count=3, height=48, width=64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    video = index_media(path).video
    assert (video.width, video.height, video.plain) == (128, 48, False)


def test_a_records_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(cover.encode(None))
        samples = tone(seconds=1.0)
        for first in range(0, len(samples), 576):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 576], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, first
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    index = index_media(path)
    assert index.video is None and index.has_audio


def test_a_second_video_stream_is_not_passed_over_in_silence(tmp_path):
    path = tmp_path / "cameras.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=25, options={}) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in moving_squares(count=3, height=48, width=64):
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    index = index_media(path)
    assert len(index.video.times) == 3 and index.warnings == ("of 2 video streams the first one is read",)


def test_cut_file_is_reported(tmp_path):
    path = cut_file(write_video(tmp_path / "cut.mp4", moving_squares(count=60), moov_first=True), part=0.6)
    index = index_media(path)
    assert len(index.warnings) == 1 and "2.4 s are announced" in index.warnings[0]
    assert not index.video.plain


def test_a_video_without_frames(tmp_path):
    """A header and no frame, as a recorder leaves that was stopped at once."""
    path = cut_file(write_video(tmp_path / "none.mp4", moving_squares(), moov_first=True), part=1.0)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])
    with pytest.raises(ValueError, match=r"no frame of none\.mp4 can be decoded"):
        index_media(path)


def test_neither_video_nor_sound(tmp_path):
    path = tmp_path / "subtitles.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    with pytest.raises(ValueError, match=r"subtitles\.srt holds neither video nor audio"):
        index_media(path)
