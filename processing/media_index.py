"""What a media file holds: the true time of every displayed frame, without keeping a picture, and whether it sounds.

One pass over the packets (they are read, not decoded) gives the times; one decoded frame gives the display rotation.

The clock: seconds as stored in the container, so that frames, samples and subtitles share one zero. MPEG streams count
from an arbitrary moment; there the container's start is the zero, as in every player.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

MICROSECONDS = 1_000_000  # of the container's own start and duration
ARBITRARY_ZERO_FORMATS = ("mpegts", "mpeg", "hls")
DECODING_ORDER_FORMATS = ("avi",)  # store when to decode, not when to show: only the order of frames is known
CUT_SECONDS = 1.0  # packets that end this much before the announced end mean a cut file
FALLBACK_FRAME_RATE = 25.0  # where neither packets nor stream say one


@dataclass(frozen=True)
class VideoIndex:
    """The displayed frames of a video stream, in display order.

    times: (N,) float64 seconds, increasing. timestamps: (N,) int64, the same in the stream's own units, or None where
        the
    container stores none: then the frames are known by their order alone. keyframes: (K,) int64 timestamps where
    decoding can begin. width, height: as displayed, after rotation and with square pixels. quarter_turns: turns to the
    left that bring a decoded frame upright. plain: every packet is shown as it is stored.
    """

    times: np.ndarray
    timestamps: np.ndarray | None
    keyframes: np.ndarray
    end_seconds: float
    width: int
    height: int
    quarter_turns: int
    plain: bool


@dataclass(frozen=True)
class MediaIndex:
    """One file: its video (None: no moving pictures), whether it has sound, its end in seconds and what is wrong."""

    video: VideoIndex | None
    has_audio: bool
    end_seconds: float
    warnings: tuple[str, ...] = ()


def open_container(path: Path):
    """The file as a PyAV container.

    Raises `ValueError` where FFmpeg knows no such format, or the format's index is missing.
    """
    if av is None:
        raise ImportError("reading video and audio needs PyAV: pip install av")
    try:
        return av.open(str(path), metadata_errors="replace")
    except av.FFmpegError as error:
        hint = ""
        if _begins_like_mp4(path):
            hint = "; an mp4 that was cut before its end has lost its index and cannot be opened by any player"
        raise ValueError(f"{path.name} is not a readable video or audio file ({error.strerror}){hint}") from error


def _begins_like_mp4(path: Path) -> bool:
    """True for files whose first box, after its four bytes of length, is `ftyp`: mp4, mov, m4a."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def clock_zero_seconds(container) -> float:
    """What to take from stored times to get the clock described above."""
    arbitrary = any(name in ARBITRARY_ZERO_FORMATS for name in container.format.name.split(","))
    return (container.start_time or 0) / MICROSECONDS if arbitrary else 0.0


def find_video_stream(container):
    """The first stream of moving pictures, or None. A record's cover is a stream too, but no video."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def index_media(path: Path) -> MediaIndex:
    """Reads the packets of a file once.

    Raises `ValueError` for files that hold neither video nor audio, or not one frame that can be decoded and no audio.
    """
    with open_container(path) as container:
        stream = find_video_stream(container)
        has_audio = bool(container.streams.audio)
        if stream is None and not has_audio:
            raise ValueError(f"{path.name} holds neither video nor audio")
        packets = _read_packets(container, stream)
        zero = clock_zero_seconds(container)
        end = packets.end_seconds - zero
        warnings = _cut_warnings(container, packets)
        first_frame = None if stream is None else _decode_first_frame(path)
        if stream is not None and (first_frame is None or len(packets.shown) == 0):
            if not has_audio:
                raise ValueError(f"no frame of {path.name} can be decoded")
            return MediaIndex(None, has_audio, end, (*warnings, "no frame of the video can be decoded"))
        if stream is None:
            return MediaIndex(None, has_audio, end, warnings)
        video, notes = _video_index(stream, packets, first_frame, zero=zero)
    return MediaIndex(video, has_audio, max(end, video.end_seconds), (*warnings, *notes))


@dataclass(frozen=True)
class _Packets:
    shown: list  # (timestamp or None, duration, is_keyframe) of every displayed, whole video packet
    hidden: int  # packets that are decoded but not displayed
    broken: int
    end_seconds: float  # as stored, over all streams


def _read_packets(container, stream) -> _Packets:
    shown, hidden, broken, end = [], 0, 0, 0.0
    try:
        for packet in container.demux():
            if packet.size == 0 or packet.stream.type not in ("video", "audio"):
                continue
            if packet.is_corrupt:
                broken += 1
                continue
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if stream is None or packet.stream.index != stream.index:
                continue
            if packet.is_discard:
                hidden += 1
            else:
                shown.append((packet.pts, packet.duration or 0, packet.is_keyframe))
    except av.FFmpegError:  # how FFmpeg ends a file whose last packet is cut
        broken += 1
    return _Packets(shown, hidden, broken, end)


def _cut_warnings(container, packets: _Packets) -> tuple[str, ...]:
    announced = ((container.start_time or 0) + (container.duration or 0)) / MICROSECONDS
    if packets.broken or (packets.end_seconds > 0 and announced - packets.end_seconds > CUT_SECONDS):
        return (
            f"the file is damaged or cut: {announced:.1f} s are announced, "
            f"data could be read up to {packets.end_seconds:.1f} s",
        )
    return ()


def _decode_first_frame(path: Path):
    """The first frame that decodes, or None."""
    with open_container(path) as container:
        stream = find_video_stream(container)
        for frame in decode_frames(container, stream):
            return frame
    return None


def decode_frames(container, stream):
    """Yields frames in display order from wherever the container stands, stepping over what cannot be decoded."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            packet = None
        try:
            frames = stream.decode(packet) if packet is None else packet.decode()
        except av.FFmpegError:
            frames = []
        yield from frames
        if packet is None:
            return


def _video_index(stream, packets: _Packets, first_frame, *, zero: float) -> tuple[VideoIndex, tuple[str, ...]]:
    unit = float(stream.time_base)
    rate = float(stream.average_rate or FALLBACK_FRAME_RATE)
    notes: tuple[str, ...] = ()
    timestamps = None
    stored = np.array([np.nan if timestamp is None else timestamp for timestamp, _, _ in packets.shown]) * unit - zero
    if np.any(np.isnan(stored)):
        times, last_duration = np.arange(len(packets.shown)) / rate, 1 / rate
        notes = (f"the file stores no times of its frames: {rate:g} frames per second are assumed",)
    elif stream.container.format.name in DECODING_ORDER_FORMATS:
        times = np.unique(stored - stored.min())
        last_duration = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    else:
        timestamps, first_places = np.unique([timestamp for timestamp, _, _ in packets.shown], return_index=True)
        times = timestamps * unit - zero
        last_duration = packets.shown[first_places[-1]][1] * unit or 1 / rate
        not_before_zero = times >= 0  # an edit list may put frames before the start; players do not show them
        timestamps, times = timestamps[not_before_zero], times[not_before_zero]
    keyframes = sorted(timestamp for timestamp, _, is_key in packets.shown if is_key and timestamp is not None)
    quarter_turns = round(first_frame.rotation / 90) % 4
    width, height = _display_size(stream, first_frame, quarter_turns=quarter_turns)
    index = VideoIndex(
        times=times,
        timestamps=timestamps,
        keyframes=np.array(keyframes, dtype=np.int64),
        end_seconds=float(times[-1] + last_duration),
        width=width,
        height=height,
        quarter_turns=quarter_turns,
        plain=not packets.hidden and not packets.broken and quarter_turns == 0 and width == first_frame.width,
    )
    return index, notes


def _display_size(stream, frame, *, quarter_turns: int) -> tuple[int, int]:
    pixel_aspect = stream.sample_aspect_ratio
    width = round(frame.width * float(pixel_aspect)) if pixel_aspect else frame.width
    return (frame.height, width) if quarter_turns % 2 else (width, frame.height)
