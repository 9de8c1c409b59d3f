"""Ten small media files, one a container, made with PyAV alone: what the mutations begin with."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from synthetic_media import moving_squares, tone, write_wav

FRAMES, HEIGHT, WIDTH, FRAME_RATE = 12, 48, 64, 25
SECONDS = FRAMES / FRAME_RATE
# suffix -> (video codec, pixel format), (audio codec, sampling rate); None for a stream that the file has not
SEEDS = {
    ".mp4": (("libx264", "yuv420p"), ("aac", 16_000)),
    ".mov": (("mpeg4", "yuv420p"), ("pcm_s16le", 16_000)),
    ".mkv": (("libx264", "yuv420p"), ("flac", 16_000)),
    ".webm": (("libvpx", "yuv420p"), ("libopus", 48_000)),
    ".ts": (("mpeg2video", "yuv420p"), ("mp2", 16_000)),
    ".avi": (("mjpeg", "yuvj420p"), ("mp2", 16_000)),
    ".gif": (("gif", "rgb8"), None),
    ".mp3": (None, ("libmp3lame", 16_000)),
    ".flac": (None, ("flac", 16_000)),
    ".wav": (None, None),  # written by Python's own module
}


def write_seeds(folder: Path) -> dict[str, bytes]:
    """Suffix -> content of each seed; the files are left in `folder`."""
    contents = {}
    for suffix in SEEDS:
        path = write_seed(folder / f"seed{suffix}")
        contents[suffix] = path.read_bytes()
    return contents


def write_seed(path: Path) -> Path:
    """The seed that belongs to the path's suffix: half a second of a moving square and of a tone."""
    video_codec, audio_codec = SEEDS[path.suffix]
    if path.suffix == ".wav":
        return write_wav(path, tone(seconds=SECONDS))
    with av.open(str(path), "w") as container:
        video = None if video_codec is None else _add_video(container, *video_codec)
        audio = None if audio_codec is None else container.add_stream(audio_codec[0], rate=audio_codec[1])
        if audio is not None:
            audio.layout = "mono"
        if video is not None:
            _encode_video(container, video)
        if audio is not None:
            _encode_audio(container, audio)
    return path


def _add_video(container, codec: str, pixel_format: str):
    stream = container.add_stream(codec, rate=FRAME_RATE)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
    if codec == "libx264":
        stream.options = {"preset": "ultrafast", "threads": "1", "g": "4"}
    return stream


def _encode_video(container, stream) -> None:
    for number, picture in enumerate(moving_squares(count=FRAMES, height=HEIGHT, width=WIDTH)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
        frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_audio(container, stream) -> None:
    rate = stream.codec_context.sample_rate
    samples = tone(seconds=SECONDS, sampling_rate=rate)
    wanted = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
    size = stream.codec_context.frame_size or 1024
    for first in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, first : first + size]), format="flt",
                                           layout="mono")  # fmt: skip
        frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
        for part in wanted.resample(frame):
            container.mux(stream.encode(part))
    container.mux(stream.encode(None))
