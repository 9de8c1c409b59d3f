"""A small H.264 copy of a video that browsers do not play, for the page of a report.

HEVC of phones, transport streams, AVI, ProRes and ten-bit video stay black in a browser. The copy is on the report's
clock and shows what the analysis saw: upright, deinterlaced, tone-mapped.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from microemo.processing.audio_reading import read_audio
from microemo.processing.frame_sampling import thin_indices
from microemo.processing.media_index import (
    clock_zero_seconds,
    find_video_stream,
    index_media,
    open_container,
)
from microemo.processing.video_reading import fit_size, open_video

PLAYED_FORMATS = ("mp4", "webm", "mp3", "wav", "ogg", "flac")
PLAYED_VIDEO = {"h264": ("yuv420p", "yuvj420p"), "vp8": None, "vp9": None, "av1": None}  # with the pixel formats
PLAYED_IN_WEBM = ("vp8", "vp9", "av1", "opus", "vorbis")
PLAYED_AUDIO = ("aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le")

LONGEST_COPIED_SECONDS = 600.0  # encoding takes a few seconds for each minute
COPIED_SIDE = 360  # px, the shorter one
COPIED_FPS = 30.0
COPY_CRF = "28"
SAMPLING_RATE = 16_000
SOUND_BITS = 48_000
TIME_BASE = Fraction(1, 12_800)


def plays_in_browsers(path: Path) -> bool:
    """Whether the common browsers show the file as it is; True for what is no media file at all."""
    try:
        with open_container(path) as container:
            formats = container.format.name.split(",")
            if not set(formats) & set(PLAYED_FORMATS) or clock_zero_seconds(container) > 0:
                return False
            video = find_video_stream(container)
            sound = [stream.codec_context.name for stream in container.streams.audio]
            codecs = [*sound, *([video.codec_context.name] if video else [])]
            if "webm" in formats and not set(codecs) <= set(PLAYED_IN_WEBM):
                return False
            return _is_played(video) and set(sound) <= set(PLAYED_AUDIO)
    except (ValueError, av.FFmpegError):
        return True


def _is_played(video) -> bool:
    if video is None:
        return True
    context = video.codec_context
    pixel_formats = PLAYED_VIDEO.get(context.name, ())
    return context.name in PLAYED_VIDEO and (pixel_formats is None or context.pix_fmt in pixel_formats)


def browser_copy(path: Path) -> bytes | None:
    """An mp4 of the video and its sound, at most `COPIED_SIDE` px high or wide; None where it would take too long, or
    where this PyAV cannot encode H.264."""
    try:
        index = index_media(path)
        if index.end_seconds > LONGEST_COPIED_SECONDS or index.video is None:
            return None
        target = io.BytesIO()
        with av.open(target, "w", format="mp4") as container, open_video(path, index=index) as reader:
            height, width = fit_size(height=reader.height, width=reader.width, shortest=COPIED_SIDE)
            video = container.add_stream("libx264", rate=round(COPIED_FPS))
            video.height, video.width, video.pix_fmt = height - height % 2 or 2, width - width % 2 or 2, "yuv420p"
            video.codec_context.time_base = TIME_BASE
            video.options = {"crf": COPY_CRF, "preset": "veryfast"}
            waveform = read_audio(path, sampling_rate=SAMPLING_RATE, index=index)
            sound = None if waveform is None else container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
            _write_pictures(container, video, reader)
            if waveform is not None:
                _write_sound(container, sound, waveform)
        return target.getvalue()
    except (ValueError, av.FFmpegError):  # also for an encoder that is not there
        return None


def _write_pictures(container, stream, reader) -> None:
    wanted = thin_indices(reader.times, rate=COPIED_FPS)
    for indices, pictures in reader.read(wanted, size=(stream.height, stream.width)):
        for place, picture in zip(indices, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(reader.times[place] / TIME_BASE), TIME_BASE
            container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(container, stream, waveform: np.ndarray) -> None:
    stream.bit_rate = SOUND_BITS
    step = stream.codec_context.frame_size or 1024
    for first in range(0, len(waveform), step):
        frame = av.AudioFrame.from_ndarray(waveform[None, first : first + step], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLING_RATE, first
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
