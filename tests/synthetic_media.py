"""Tiny video and audio files for tests, made with PyAV and numpy alone. Same arguments, same file.

Every frame of `moving_squares` carries its own number as a row of dark and light blocks, so that a test can tell
which frame it was given (`frame_number`).
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

NUMBER_BITS = 8
INTERLACED_DCT, INTERLACED_ME = 1 << 18, 1 << 29  # FFmpeg's encoder flags
TIME_BASE = Fraction(1, 12_800)  # the video clock of the files: fine enough for 25 fps and for 1/100 s steps


def moving_squares(*, count: int = 25, height: int = 96, width: int = 128) -> np.ndarray:
    """(count, height, width, 3) uint8 RGB: a red square moves right on grey, the frame's number along the bottom."""
    frames = np.full((count, height, width, 3), 96, dtype=np.uint8)
    side = height // 4
    for index, frame in enumerate(frames):
        left = round(index / max(count - 1, 1) * (width - side))
        frame[side : 2 * side, left : left + side] = (220, 40, 40)
        _stamp_number(frame, index)
    return frames


def frame_number(frame: np.ndarray) -> int:
    """The number that `moving_squares` wrote into a frame, at whatever size it comes back."""
    height, width = frame.shape[:2]
    row = frame[height * 15 // 16].mean(axis=-1)
    centres = ((np.arange(NUMBER_BITS) + 0.5) * width / NUMBER_BITS).astype(int)
    return int(np.sum((row[centres] > 128) << np.arange(NUMBER_BITS)))


def _stamp_number(frame: np.ndarray, number: int) -> None:
    height, width = frame.shape[:2]
    edges = np.round(np.arange(NUMBER_BITS + 1) * width / NUMBER_BITS).astype(int)
    for bit in range(NUMBER_BITS):
        frame[height * 7 // 8 :, edges[bit] : edges[bit + 1]] = 215 if number >> bit & 1 else 40


def write_video(
    path: Path,
    frames: np.ndarray,
    *,
    times: Sequence[float] | None = None,
    frame_rate: float = 25.0,
    waveform: np.ndarray | None = None,
    sampling_rate: int = 16_000,
    audio_start_seconds: float = 0.0,
    moov_first: bool = False,
) -> Path:
    """Writes H.264 (4:4:4 for odd sizes) and, with a waveform (S,) or (S, channels), AAC; the suffix says which file.

    Args:
        times: seconds of each frame, for a variable frame rate; else evenly at `frame_rate`.
        audio_start_seconds: when the first sample sounds on the video's clock.
        moov_first: put an mp4's index at the front, so that a cut file is partly readable.
    """
    times = np.arange(len(frames)) / frame_rate if times is None else np.asarray(times)
    options = {"movflags": "faststart"} if moov_first else {}
    with av.open(str(path), "w", options=options) as container:
        video = _add_video_stream(container, frames, frame_rate=frame_rate)
        audio = None if waveform is None else _add_audio_stream(container, waveform, sampling_rate=sampling_rate)
        for picture, seconds in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(seconds / TIME_BASE), TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_audio(container, audio, waveform, start_seconds=audio_start_seconds)
    return path


def _add_video_stream(container, frames: np.ndarray, *, frame_rate: float):
    height, width = frames.shape[1:3]
    stream = container.add_stream("libx264", rate=Fraction(frame_rate).limit_denominator(1001))
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 else "yuv444p"
    stream.codec_context.time_base = TIME_BASE
    stream.options = {"crf": "12", "preset": "veryfast", "g": "12", "threads": "1"}
    return stream


def _add_audio_stream(container, waveform: np.ndarray, *, sampling_rate: int):
    channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    return container.add_stream("aac", rate=sampling_rate, layout=layout)


def _encode_audio(container, stream, waveform: np.ndarray, *, start_seconds: float) -> None:
    samples = waveform[:, None] if waveform.ndim == 1 else waveform
    rate = stream.codec_context.sample_rate
    size = stream.codec_context.frame_size or 1024
    for first in range(0, len(samples), size):
        planes = np.ascontiguousarray(samples[first : first + size].T, dtype=np.float32)  # (channels, size)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=stream.codec_context.layout.name)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start_seconds * rate) + first
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_wav(path: Path, waveform: np.ndarray, *, sampling_rate: int = 16_000) -> Path:
    """16-bit PCM of a waveform (S,) or (S, channels) in [-1, 1]."""
    samples = waveform[:, None] if waveform.ndim == 1 else waveform
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes(np.round(samples * 32_767).astype("<i2").tobytes())
    return path


def tone(
    *, seconds: float, frequency: float = 440.0, sampling_rate: int = 16_000, amplitude: float = 0.3
) -> np.ndarray:
    """(S,) float32 sine."""
    return (
        amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * sampling_rate)) / sampling_rate)
    ).astype(np.float32)


def rotate_display(path: Path, *, clockwise_degrees: int) -> Path:
    """Rewrites the display matrix of an mp4's video track in place, as a phone held upright records it."""
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise_degrees]
    return set_display_matrix(path, (cosine, sine, -sine, cosine))


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Writes (a, b, c, d) of x' = a x + c y, y' = b x + d y into the first track header of an mp4."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    header = content.index(b"tkhd")
    place = header + (4 + 4 + 20 + 8 + 8 if content[header + 4] == 0 else 4 + 4 + 32 + 8 + 8)  # version 0 or 1
    struct.pack_into(">9i", content, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def join_files(path: Path, *parts: Path) -> Path:
    """The bytes of files one after the other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def write_interlaced(path: Path, upper: np.ndarray, lower: np.ndarray) -> Path:
    """MPEG-2 whose even lines come from one row of frames (N, H, W, 3), the odd ones from another."""
    height, width = upper.shape[1:3]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.flags |= INTERLACED_DCT | INTERLACED_ME
        for number, (even, odd) in enumerate(zip(upper, lower, strict=True)):
            woven = even.copy()
            woven[1::2] = odd[1::2]
            frame = av.VideoFrame.from_ndarray(woven, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_hdr(path: Path, codes: np.ndarray, *, transfer: int) -> Path:
    """10-bit H.264 of code values (N, H, W, 3) uint16 RGB with BT.2020's primaries and a transfer of ITU-T H.273."""
    height, width = codes.shape[1:3]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        stream.options = {"crf": "6", "preset": "veryfast", "threads": "1"}
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for number, picture in enumerate(codes):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb48le").reformat(
                format="yuv420p10le", dst_colorspace=9
            )
            frame.color_trc, frame.color_primaries, frame.pts = transfer, 9, number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_file(path: Path, *, part: float) -> Path:
    """Drops the end of a file, keeping the given part of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * part)])
    return path
