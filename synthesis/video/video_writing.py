"""Writes frames and audio to an MP4 file, reproducible to the byte."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from microemo.synthesis.voice.speech import SAMPLING_RATE

TICKS = 90_000  # video time base: ticks per second
AUDIO_FRAME = 1024  # samples per AAC frame


def write_video(
    path: str | Path,
    *,
    frames: Iterable[np.ndarray],
    frame_times: np.ndarray,
    waveform: np.ndarray,
    quality: int = 20,
    audio_rate: int = 64_000,
) -> None:
    """Writes H.264 and AAC in MP4 under a temporary name and renames the file.

    Args:
        frames: (H, W, 3) uint8 RGB with even sides.
        frame_times: (F,) seconds, increasing.
        waveform: (S,) float32 mono at 16 kHz, starting at 0 s.
        quality: constant rate factor from 0 (best) to 51 (worst).
        audio_rate: bits per second.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _write(container, frames, frame_times, waveform, quality, audio_rate)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write(container, frames, frame_times, waveform, quality: int, audio_rate: int) -> None:
    spacing = float(np.median(np.diff(frame_times))) if len(frame_times) > 1 else 1 / 24
    video = container.add_stream("libx264", rate=Fraction(1 / spacing).limit_denominator(1001))
    # For reproducible bytes: one thread, and no macroblock tree, whose vector code reads uninitialised memory
    # (libx264 in PyAV 18.1).
    video.options = {"crf": str(quality), "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}
    video.pix_fmt = "yuv420p"
    video.codec_context.time_base = video.time_base = Fraction(1, TICKS)
    audio = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono", bit_rate=audio_rate)
    for index, picture in enumerate(frames):
        if index == 0:
            video.height, video.width = picture.shape[:2]
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(float(frame_times[index]) * TICKS), Fraction(1, TICKS)
        container.mux(video.encode(frame))
    container.mux(video.encode(None))
    for start in range(0, len(waveform), AUDIO_FRAME):
        sound = av.AudioFrame.from_ndarray(waveform[None, start : start + AUDIO_FRAME], format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLING_RATE, start, Fraction(1, SAMPLING_RATE)
        container.mux(audio.encode(sound))
    container.mux(audio.encode(None))
