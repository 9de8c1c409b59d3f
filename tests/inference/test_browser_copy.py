"""Videos that browsers do not play stand in the page of a report as a small H.264 copy."""

import base64
import io
from dataclasses import replace

import av
import numpy as np
import pytest
from synthetic_media import frame_number, join_files, moving_squares, rotate_display, tone, write_video

from microemo.inference.report import browser_copy as browser_copy_module
from microemo.inference.report.browser_copy import browser_copy, plays_in_browsers
from microemo.inference.report.html import to_html


def write_coded(path, *, codec, pix_fmt="yuv420p", count=20):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
        for number, picture in enumerate(moving_squares(count=count)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def embedded(page):
    kind, _, content = page.partition('data-media="data:')[2].partition('"')[0].partition(";base64,")
    return kind, base64.b64decode(content)


def test_hevc_is_embedded_as_h264_on_the_same_clock(report, tmp_path):
    path = write_coded(tmp_path / "phone.mp4", codec="libx265")
    assert not plays_in_browsers(path)
    kind, content = embedded(to_html(replace(report, source=str(path))))
    assert kind == "video/mp4" and content != path.read_bytes()
    with av.open(io.BytesIO(content)) as copy:
        stream = copy.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        frames = list(copy.decode(stream))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(20) / 25, atol=1e-3)
    assert [frame_number(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(20))


def test_a_file_that_plays_is_embedded_as_it_is(report, tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_squares(count=5), waveform=tone(seconds=0.2))
    assert plays_in_browsers(path)
    assert embedded(to_html(replace(report, source=str(path))))[1] == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "plays"),
    [
        ("a.mp4", "libx264", "yuv420p", True),
        ("a.mov", "libx264", "yuv420p", True),
        ("a.webm", "libvpx-vp9", "yuv420p", True),
        ("a.mp4", "libx264", "yuv420p10le", False),
        ("a.mp4", "libx264", "yuv444p", False),
        ("a.mkv", "libx264", "yuv420p", False),
        ("a.avi", "mpeg4", "yuv420p", False),
        ("a.mov", "prores_ks", "yuv422p10le", False),
        ("a.ts", "mpeg2video", "yuv420p", False),
    ],
)
def test_what_browsers_play(tmp_path, name, codec, pix_fmt, plays):
    assert plays_in_browsers(write_coded(tmp_path / name, codec=codec, pix_fmt=pix_fmt, count=3)) is plays


def test_a_copy_shows_what_was_analysed(tmp_path):
    """Joined recordings, with sound: one clock, every picture, the sound beside it."""
    part = write_video(tmp_path / "part.ts", moving_squares(count=25), waveform=tone(seconds=1.0))
    copy = browser_copy(join_files(tmp_path / "joined.ts", part, part))
    with av.open(io.BytesIO(copy)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert len(list(container.decode(video=0))) == 50
        assert container.duration / 1e6 == pytest.approx(2.0, abs=0.2)


def test_a_copy_stands_upright_and_is_small(tmp_path):
    frames = moving_squares(count=3, height=400, width=720)
    path = rotate_display(write_video(tmp_path / "turned.mp4", frames, frame_rate=240), clockwise_degrees=90)
    with av.open(io.BytesIO(browser_copy(path))) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (360, 648)
        assert len(list(container.decode(stream))) == 1  # of 240 frames a second 30 are enough


def test_a_long_video_is_referenced(report, tmp_path, monkeypatch):
    path = write_coded(tmp_path / "long.mp4", codec="libx265")
    monkeypatch.setattr(browser_copy_module, "LONGEST_COPIED_SECONDS", 0.5)
    assert f'data-media="{path.as_uri()}"' in to_html(replace(report, source=str(path)), largest_embedded_bytes=10)
