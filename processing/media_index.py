"""What a media file holds: the true time of every displayed frame, without keeping a picture, and whether it sounds.

One pass over the packets (they are read, not decoded) gives the times; one decoded frame gives the display matrix.

The clock: seconds as stored in the container, so that frames, samples and subtitles share one zero. Where a file
begins to count at an arbitrary moment (MPEG streams) or far from zero, its first sample is the zero, as in players;
where recordings were joined, each follows the one before (`media_clock`).
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .animated_webp import WebPDecoder, is_animated_webp, webp_times
from .audio_tracks import audio_track_note, choose_audio_track
from .media_clock import ClockBuilder, MediaClock
from .tone_mapping import colours_of, hdr_name

try:
    import av
except ImportError:
    av = None  # type: ignore[assignment]

CONCAT_MARK = b"ffconcat version"  # FFmpeg's list of files to open one after the other
FILES_ONLY = {"protocol_whitelist": "file,crypto,data"}
MICROSECONDS = 1_000_000  # of the container's own start and duration
ARBITRARY_ZERO_FORMATS = ("mpegts", "mpeg", "hls")
DISPLAY_END_FORMATS = ("matroska", "webm", "flv")  # announce where the last sample ends, not how long all lasts
DECODING_ORDER_FORMATS = ("avi",)  # store when to decode, not when to show: only the order of frames is known
TABLED_FORMATS = ("mp4", "mov")  # hold one table of all samples, so none can have been joined to another
LATE_START_SECONDS = 1.0  # a file that begins later counts from elsewhere; sooner, a stream may begin late
ORDINARY_START_SECONDS = 10.0  # transport streams begin at 1.4 s; a later start is worth saying
TIMES_MAY_JUMP = 0x0200  # FFmpeg's AVFMT_TS_DISCONT
JOINT_PACKETS = 3  # of a stream before a joint, which FFmpeg may call corrupt because of what follows
CUT_SECONDS = 1.0  # packets that end this much before the announced end mean a cut file
LONGEST_SECONDS = 100 * 3600.0  # times beyond it are damage, and would be waited for and filled with silence
MOST_PIXELS = 1 << 26  # of a displayed frame: twice 8K; more is damage, and would not fit in memory
PIXEL_ASPECTS = (1 / 16, 16.0)  # width over height of a pixel; beyond it is damage
FALLBACK_FRAME_RATE = 25.0  # where neither packets nor stream say one
# (right, down) of the picture's first axis in a display matrix -> quarter turns to the left that np.rot90 needs
QUARTER_TURNS = {(1, 0): 0, (0, 1): 3, (-1, 0): 2, (0, -1): 1}


@dataclass(frozen=True)
class VideoIndex:
    """The displayed frames of a video stream, in display order.

    times: (N,) float64 seconds, increasing. timestamps: (N,) int64, the same in the stream's own units, or None where
    the container stores none: then the frames are known by their order alone. parts: (N,) which of the joined
    recordings each frame belongs to, or None for one recording; timestamps increase within a part. keyframes: (K,)
    int64 timestamps where decoding can begin. width, height: as displayed, after rotation and with square pixels.
    mirrored, quarter_turns: a decoded frame is mirrored left to right, then turned to the left, to stand as players
    show it. stored_aspect: width over height of a decoded frame. plain: every packet is shown as it is stored.
    """

    times: np.ndarray
    timestamps: np.ndarray | None
    keyframes: np.ndarray
    end_seconds: float
    width: int
    height: int
    quarter_turns: int
    plain: bool
    mirrored: bool = False
    parts: np.ndarray | None = None
    stored_aspect: float | None = None

    @classmethod
    def of_pictures(cls, times: np.ndarray, *, end_seconds: float, width: int, height: int) -> VideoIndex:
        """The index of upright pictures that no video codec stores: they are known by their order."""
        keyframes = np.array([], dtype=np.int64)
        return cls(times, None, keyframes, end_seconds, width, height, quarter_turns=0, plain=False)


@dataclass(frozen=True)
class MediaIndex:
    """One file: its video (None: no moving pictures), whether it has sound, its end in seconds and what is wrong.

    audio_track: number of the chosen one among the file's audio tracks.
    """

    video: VideoIndex | None
    has_audio: bool
    end_seconds: float
    warnings: tuple[str, ...] = ()
    clock: MediaClock = field(default_factory=MediaClock)
    audio_track: int = 0


def open_container(path: Path):
    """The file as a PyAV container.

    Raises `ValueError` where FFmpeg knows no such format, or the format's index is missing.
    """
    if av is None:
        raise ImportError("reading video and audio needs PyAV: pip install av")
    if _begins_with(path, CONCAT_MARK):  # one that names itself is opened until the process can open no file at all
        raise ValueError(f"{path.name} is a list of other files (ffconcat), not a video; name the files themselves")
    try:
        # Named as a file, so that no name ("scene:1.mp4", "concat:a|b") acts as a protocol, and no playlist leaves it.
        return av.open(f"file:{path.absolute()}", options=dict(FILES_ONLY), metadata_errors="replace")
    except av.FFmpegError as error:
        hint = ""
        if _begins_like_mp4(path):
            hint = "; an mp4 that was cut before its end has lost its index and cannot be opened by any player"
        raise ValueError(f"{path.name} is not a readable video or audio file ({error.strerror}){hint}") from error


def _begins_like_mp4(path: Path) -> bool:
    """True for files whose first box, after its four bytes of length, is `ftyp`: mp4, mov, m4a."""
    return _begins_with(path, b"ftyp", offset=4)


def _begins_with(path: Path, mark: bytes, *, offset: int = 0) -> bool:
    with path.open("rb") as file:
        return file.read(offset + len(mark))[offset:] == mark


def clock_zero_seconds(container) -> float:
    """The stored time at which the clock described above begins."""
    start = (container.start_time or 0) / MICROSECONDS
    return start if _is_one_of(container, ARBITRARY_ZERO_FORMATS) or start >= LATE_START_SECONDS else 0.0


def _is_one_of(container, formats: tuple[str, ...]) -> bool:
    return any(name in formats for name in container.format.name.split(","))


def find_video_stream(container):
    """The first stream of moving pictures, or None. A record's cover is a stream too, but no video."""
    return next(iter(_video_streams(container)), None)


def _video_streams(container) -> list:
    covers = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & covers]


def index_media(path: Path, *, audio_track: int | None = None, language: str | None = None) -> MediaIndex:
    """Reads the packets of a file once.

    Args:
        audio_track: number of the audio track to hear, from 0; None: see `choose_audio_track`.
        language: of the speech that is wanted, such as "en".

    Raises `ValueError` for files that hold neither video nor audio, or not one frame that can be decoded and no audio,
    and for an audio track that the file does not have.
    """
    if is_animated_webp(path):
        return _webp_index(path)
    with open_container(path) as container:
        stream = find_video_stream(container)
        tracks = container.streams.audio
        has_audio = bool(tracks)
        if stream is None and not has_audio:
            raise ValueError(f"{path.name} holds neither video nor audio")
        track = choose_audio_track(tracks, number=audio_track, language=language)
        packets = _read_packets(container, stream, audio=tracks[track] if tracks else None)
        notes = _stream_notes(container, track=track)
        warnings = (*_start_notes(container), *packets.warnings, *notes)
        sound = MediaIndex(None, has_audio, packets.end_seconds, warnings, packets.clock, track)
        _check_times(path, packets.end_seconds)
        if stream is None:
            return sound
        first_frame = _decode_first_frame(path)
        if first_frame is None or len(packets.shown) == 0:
            if not has_audio:
                raise ValueError(f"no frame of {path.name} can be decoded")
            return replace(sound, warnings=(*warnings, "no frame of the video can be decoded"))
        video, notes = _video_index(stream, packets, first_frame)
        _check_times(path, video.end_seconds)
        if video.width * video.height > MOST_PIXELS:
            raise ValueError(
                f"{path.name} has frames of {video.width} x {video.height} pixels, more than {MOST_PIXELS}"
            )
    end = max(sound.end_seconds, video.end_seconds)
    return replace(sound, video=video, end_seconds=end, warnings=(*warnings, *notes))


def _stream_notes(container, *, track: int) -> tuple[str, ...]:
    """Which of several streams are read."""
    notes: tuple[str, ...] = ()
    if (count := len(_video_streams(container))) > 1:  # several cameras or programmes, or joined recordings
        notes = (f"of {count} video streams the first one is read",)
    tracks = container.streams.audio
    return (*notes, audio_track_note(tracks, number=track)) if len(tracks) > 1 else notes


def _check_times(path: Path, end_seconds: float) -> None:
    if not end_seconds <= LONGEST_SECONDS:
        raise ValueError(
            f"{path.name} is damaged: its times go on until {end_seconds:.0f} s, more than {LONGEST_SECONDS:.0f} s"
        )


def index_sound(path: Path, *, audio_track: int | None = None, language: str | None = None) -> MediaIndex:
    """What reading the sound takes: as `index_media`, but without a look at every packet where times cannot jump."""
    if is_animated_webp(path):
        return _webp_index(path)
    with open_container(path) as container:
        if _is_one_of(container, TABLED_FORMATS):
            tracks = container.streams.audio
            track = choose_audio_track(tracks, number=audio_track, language=language)
            clock = MediaClock((-clock_zero_seconds(container),))
            return MediaIndex(None, bool(tracks), 0.0, clock=clock, audio_track=track)
    return index_media(path, audio_track=audio_track, language=language)


def _webp_index(path: Path) -> MediaIndex:
    times, end = webp_times(path)
    decoder = WebPDecoder(path)
    width, height = decoder.size
    decoder.close()
    video = VideoIndex.of_pictures(times, end_seconds=end, width=width, height=height)
    return MediaIndex(video, has_audio=False, end_seconds=end)


@dataclass(frozen=True)
class _Packets:
    shown: list  # (part, timestamp or None, duration, is_keyframe) of every displayed, whole video packet
    hidden: int  # packets that are decoded but not displayed
    broken: int
    clock: MediaClock
    end_seconds: float  # on the clock, over video and the chosen audio
    warnings: tuple[str, ...]


def _read_packets(container, stream, *, audio) -> _Packets:
    builder = ClockBuilder(
        zero_seconds=clock_zero_seconds(container), closes_gaps=bool(container.format.flags & TIMES_MAY_JUMP)
    )
    wanted = [each for each in (stream, audio) if each is not None]
    frame_seconds = 0.0 if stream is None else 1 / float(stream.average_rate or FALLBACK_FRAME_RATE)
    shown: list = []
    hidden = broken = 0
    recent: dict[int, deque] = defaultdict(lambda: deque(maxlen=JOINT_PACKETS))  # stream index -> (entry, is_corrupt)
    try:
        for packet in container.demux(wanted):
            if packet.size == 0:
                continue
            is_picture = stream is not None and packet.stream.index == stream.index
            seconds = float((packet.duration or 0) * packet.time_base) or (frame_seconds if is_picture else 0.0)
            part = builder.add(packet, duration_seconds=seconds, is_picture=is_picture)
            last = recent[packet.stream.index]
            if last and last[-1][0][0] < part:  # whole: only the counters of the next recording did not fit
                suspect = [entry for entry, is_corrupt in last if is_corrupt]
                broken -= len(suspect)
                shown += suspect if is_picture else []
                last.clear()
            entry = (part, packet.pts, packet.duration or 0, packet.is_keyframe)
            last.append((entry, packet.is_corrupt))
            if packet.is_corrupt:
                broken += 1
            elif is_picture and packet.is_discard:
                hidden += 1
            elif is_picture:
                shown.append(entry)
    except av.FFmpegError:  # how FFmpeg ends a file whose last packet is cut
        broken += 1
    clock = builder.clock()
    end = builder.end_seconds(clock)
    warnings = builder.jump_warnings(clock)
    if not clock.is_joined:
        warnings = _cut_warnings(container, broken=broken, end=end)
    return _Packets(shown, hidden, broken, clock, end, warnings)


def _start_notes(container) -> tuple[str, ...]:
    zero = clock_zero_seconds(container)
    ordinary = ORDINARY_START_SECONDS if _is_one_of(container, ARBITRARY_ZERO_FORMATS) else 0.0
    if zero <= ordinary:
        return ()
    return (f"the file's own times begin at {zero:.1f} s; here its first sample is at 0 s",)


def _cut_warnings(container, *, broken: int, end: float) -> tuple[str, ...]:
    start, duration = ((value or 0) / MICROSECONDS for value in (container.start_time, container.duration))
    stored_end = end + clock_zero_seconds(container)
    announced = duration if _is_one_of(container, DISPLAY_END_FORMATS) else start + duration
    if broken or (stored_end > 0 and announced - stored_end > CUT_SECONDS):
        zero = clock_zero_seconds(container)
        return (
            f"the file is damaged or cut: {max(announced - zero, 0):.1f} s are announced, "
            f"data could be read up to {end:.1f} s",
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


def _video_index(stream, packets: _Packets, first_frame) -> tuple[VideoIndex, tuple[str, ...]]:
    unit = float(stream.time_base)
    rate = float(stream.average_rate or FALLBACK_FRAME_RATE)
    picture_notes = _picture_notes(stream, first_frame)
    notes = picture_notes
    timestamps = parts = None
    offsets = np.array(packets.clock.offsets)
    parts_shown = np.array([part for part, _, _, _ in packets.shown])
    stored = np.array([np.nan if timestamp is None else timestamp for _, timestamp, _, _ in packets.shown]) * unit
    stored += offsets[parts_shown]
    if np.any(np.isnan(stored)):
        times, last_duration = np.arange(len(packets.shown)) / rate, 1 / rate
        notes = (*notes, f"the file stores no times of its frames: {rate:g} frames per second are assumed")
    elif stream.container.format.name in DECODING_ORDER_FORMATS:
        times = np.unique(stored - stored.min())
        last_duration = float(np.median(np.diff(times))) if len(times) > 1 else 1 / rate
    else:
        rows, first_places = np.unique([entry[:2] for entry in packets.shown], axis=0, return_index=True)
        parts, timestamps = rows[:, 0], rows[:, 1]
        times = timestamps * unit + offsets[parts]
        last_duration = packets.shown[first_places[-1]][2] * unit or 1 / rate
        # An edit list may put frames before the start, which players do not show; a later part may begin a little
        # before the last frame of the one before ends.
        kept = (times >= 0) & (times > np.concatenate([[-np.inf], np.maximum.accumulate(times)[:-1]]))
        timestamps, times, parts = timestamps[kept], times[kept], parts[kept]
    keyframes = sorted(timestamp for _, timestamp, _, is_key in packets.shown if is_key and timestamp is not None)
    mirrored, quarter_turns = display_orientation(first_frame)
    width, height = _display_size(stream, first_frame, quarter_turns=quarter_turns)
    is_stored_as_shown = not (packets.hidden or packets.broken or quarter_turns or mirrored or packets.clock.is_joined)
    index = VideoIndex(
        times=times,
        timestamps=timestamps,
        keyframes=np.array(keyframes, dtype=np.int64),
        end_seconds=float(times[-1] + last_duration),
        width=width,
        height=height,
        quarter_turns=quarter_turns,
        plain=is_stored_as_shown and width == first_frame.width and not picture_notes,
        mirrored=mirrored,
        parts=parts if packets.clock.is_joined else None,
        stored_aspect=first_frame.width / first_frame.height,
    )
    return index, notes


def display_orientation(frame) -> tuple[bool, int]:
    """Whether a decoded frame is shown mirrored left to right, and its quarter turns to the left after that."""
    for side_data in frame.side_data:
        if side_data.type.name == "DISPLAYMATRIX":
            matrix = struct.unpack("=9i", bytes(side_data)[:36])
            return _orientation(*(value / (1 << 16) for value in (matrix[0], matrix[1], matrix[3], matrix[4])))
    return False, 0


def _orientation(a: float, b: float, c: float, d: float) -> tuple[bool, int]:
    """Of the matrix that sends a point of the stored picture to x' = a x + c y, y' = b x + d y."""
    mirrored = a * d - b * c < 0
    right, down = (-a, -b) if mirrored else (a, b)  # where the first axis points, once the mirroring is done
    axis = (int(np.sign(right)), 0) if abs(right) >= abs(down) else (0, int(np.sign(down)))
    return mirrored, QUARTER_TURNS.get(axis, 0)


def _picture_notes(stream, frame) -> tuple[str, ...]:
    notes = []
    name = hdr_name(colours_of(frame, stream)[0])
    if name is not None:
        notes.append(f"the video is HDR ({name}): its pictures are tone-mapped to the usual range")
    if frame.interlaced_frame:
        notes.append("the video is interlaced: of each picture one of the two fields is read, at half the height")
    return tuple(notes)


def _display_size(stream, frame, *, quarter_turns: int) -> tuple[int, int]:
    pixel_aspect = float(stream.sample_aspect_ratio or 1)
    if not PIXEL_ASPECTS[0] <= pixel_aspect <= PIXEL_ASPECTS[1]:
        pixel_aspect = 1.0
    width = max(1, round(frame.width * pixel_aspect))
    return (frame.height, width) if quarter_turns % 2 else (width, frame.height)
