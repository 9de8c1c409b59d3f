"""Reads a file's audio as one mono waveform on the same clock as its frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .frame_folder import FrameFolder
from .media_clock import PartFollower
from .media_index import LONGEST_SECONDS, MediaIndex, index_sound, open_container
from .media_source import MediaSource, VideoArray, local_file, plain_source, source_name

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

SEEK_AHEAD_SECONDS = 0.5  # decoding starts this much earlier: the first frames after a seek are inexact
JUMP_SECONDS = 0.05  # a timestamp this far from the end of the previous samples is a gap, not rounding


def read_audio(
    source: MediaSource,
    *,
    sampling_rate: int = 16_000,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    index: MediaIndex | None = None,
    audio_track: int | None = None,
    language: str | None = None,
) -> np.ndarray | None:
    """(S,) float32 mono in [-1, 1], starting at `start_seconds` of the file's clock.

    Channels are mixed by FFmpeg's rules. A late start, gaps and a missing end are filled with zeros::

        clock     0 ....... 1 ....... 2 ....... 3
        stream        [aaaaaaaaa]  [bbbbbb]
        result    0000aaaaaaaaaaa00bbbbbbb000000   for end_seconds=3; without it the result ends with b

    Returns None if there is no audio stream. Damaged parts are skipped; raises `ValueError` if it is no media file.

    Args:
        index: of `index_media`, if known (for a path); it has selected the track.
        audio_track, language: see `index_media`.
    """
    if sampling_rate < 1:
        raise ValueError(f"sampling_rate must be >= 1, got {sampling_rate}")
    if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
        raise ValueError(f"need 0 <= start_seconds < end_seconds, got {start_seconds} and {end_seconds}")
    if av is None:
        raise ImportError("reading video and audio needs PyAV: pip install av")
    source = plain_source(source)
    if isinstance(source, FrameFolder) or (isinstance(source, VideoArray) and source.waveform is None):
        return None
    if isinstance(source, VideoArray) and source.waveform is not None:
        pieces = [(0.0, resample(source.waveform, from_rate=source.sampling_rate, to_rate=sampling_rate))]
    else:
        with local_file(source) as path:
            decoded = _decode_pieces(
                path,
                index=index or index_sound(path, audio_track=audio_track, language=language),
                sampling_rate=sampling_rate,
                start_seconds=start_seconds,
                end_seconds=end_seconds,
            )
        if decoded is None:
            return None
        pieces = decoded
    last = max((seconds + len(samples) / sampling_rate for seconds, samples in pieces), default=0.0)
    if end_seconds is None and last > LONGEST_SECONDS:
        raise ValueError(f"{source_name(source)} is damaged: its sound goes on until {last:.0f} s")
    waveform = lay_pieces(pieces, sampling_rate=sampling_rate, start_seconds=start_seconds, end_seconds=end_seconds)
    return np.clip(waveform, -1, 1, out=waveform)


def lay_pieces(
    pieces: list[tuple[float, np.ndarray]],
    *,
    sampling_rate: int,
    start_seconds: float,
    end_seconds: float | None,
) -> np.ndarray:
    """Combines (start in seconds, samples) pieces to one waveform, zeros in between; later pieces overwrite."""
    starts = [round((seconds - start_seconds) * sampling_rate) for seconds, _ in pieces]
    ends = [start + len(samples) for start, (_, samples) in zip(starts, pieces, strict=True)]
    length = max([0, *ends]) if end_seconds is None else round((end_seconds - start_seconds) * sampling_rate)
    waveform = np.zeros(length, dtype=np.float32)
    for start, (_, samples) in zip(starts, pieces, strict=True):
        low, high = max(start, 0), min(start + len(samples), length)
        if high > low:
            waveform[low:high] = samples[low - start : high - start]
    return waveform


def resample(waveform: np.ndarray, *, from_rate: int, to_rate: int) -> np.ndarray:
    """Resamples (S,) float32 mono with FFmpeg's filter."""
    samples = np.ascontiguousarray(waveform, dtype=np.float32)
    if from_rate == to_rate:
        return samples
    frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
    frame.sample_rate = from_rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=to_rate)
    return _joined([*resampler.resample(frame), *resampler.resample(None)])


def _decode_pieces(
    path: Path, *, index: MediaIndex, sampling_rate: int, start_seconds: float, end_seconds: float | None
) -> list[tuple[float, np.ndarray]] | None:
    """(start, samples) of every segment with contiguous timestamps; None without an audio stream."""
    if not index.has_audio:
        return None
    clock = index.clock
    with open_container(path) as container:
        stream = container.streams.audio[index.audio_track]
        if start_seconds > SEEK_AHEAD_SECONDS and not clock.is_joined:  # in joined recordings timestamps are ambiguous
            seek_to = start_seconds - SEEK_AHEAD_SECONDS - clock.offsets[0]
            container.seek(round(seek_to / stream.time_base), stream=stream, backward=True)
        pieces: list[tuple[float, list]] = []
        expected = None
        resampler = current_format = None
        for frame, part in _decode_frames(container, stream, follower=PartFollower(clock, stream.index)):
            start = expected if frame.pts is None else float(frame.pts * frame.time_base) + clock.offsets[part]
            start = start or 0.0
            if end_seconds is not None and start >= end_seconds:
                break
            frame_format = (frame.format.name, frame.layout.name, frame.sample_rate)
            is_jump = expected is None or abs(start - expected) > JUMP_SECONDS
            if (
                resampler is None or is_jump or frame_format != current_format
            ):  # rate and channels may change within a stream
                if resampler is not None:
                    pieces[-1][1].extend(resampler.resample(None))
                resampler, current_format = (
                    av.AudioResampler(format="flt", layout="mono", rate=sampling_rate),
                    frame_format,
                )
                if is_jump:
                    pieces.append((start, []))
            expected = start + frame.samples / frame.sample_rate
            frame.pts = None  # otherwise the resampler fills gaps itself
            pieces[-1][1].extend(resampler.resample(frame))
        if resampler is not None:
            pieces[-1][1].extend(resampler.resample(None))
    return [(start, _joined(frames)) for start, frames in pieces]


def _decode_frames(container, stream, *, follower: PartFollower) -> Iterator:
    """Yields audio frames with their part; skips damaged packets and stops where the file is truncated."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        if packet is None:
            return
        part = follower.part_of(packet)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            continue
        for frame in frames:
            yield frame, part


def _joined(frames: list) -> np.ndarray:
    if not frames:
        return np.zeros(0, dtype=np.float32)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32, copy=False)
