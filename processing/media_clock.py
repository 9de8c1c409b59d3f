"""Maps stored timestamps to seconds on one clock, which starts with the file's first sample and never runs backwards.

In recordings that were concatenated byte by byte (transport streams, recorders), timestamps restart within the file::

    stored   1.4 ....... 3.4 | 1.4 ....... 3.4
    clock    0.0 ....... 2.0   2.0 ....... 4.0
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any

JUMP_BACK_SECONDS = 0.2  # decoding timestamps that go back further start a new part; less is a muxer error
JUMP_AHEAD_SECONDS = 10.0  # same for jumps ahead, in formats with discontinuous timestamps; FFmpeg's threshold
PADDING_SECONDS = 0.3  # of audio at the ends of a recording
MAX_NAMED_JUMPS = 3  # in a warning


@dataclass(frozen=True)
class StreamJump:
    """A jump in one stream's decoding timestamps, in the stream's units, and the part that starts there."""

    before: int
    after: int
    part: int


@dataclass(frozen=True)
class MediaClock:
    """Offsets in seconds from stored timestamps to the clock, one per part of the file.

    first_parts: stream index -> the part in which the stream starts. jumps: stream index -> its jumps in file order.
    """

    offsets: tuple[float, ...] = (0.0,)
    first_parts: dict[int, int] = field(default_factory=dict)
    jumps: dict[int, tuple[StreamJump, ...]] = field(default_factory=dict)

    @property
    def is_joined(self) -> bool:
        return len(self.offsets) > 1


class PartFollower:
    """Tracks the part of each packet of one stream; packets must be given in file order from the first one."""

    def __init__(self, clock: MediaClock, stream_index: int) -> None:
        self.part = clock.first_parts.get(stream_index, 0)
        self._jumps = list(reversed(clock.jumps.get(stream_index, ())))
        self._last: int | None = None

    def part_of(self, packet: Any) -> int:
        if packet.dts is None:
            return self.part
        if self._jumps and (self._jumps[-1].before, self._jumps[-1].after) == (self._last, packet.dts):
            self.part = self._jumps.pop().part
        self._last = packet.dts
        return self.part


@dataclass
class _Span:
    start: float = float("inf")
    end: float = float("-inf")

    def include(self, start: float, end: float) -> None:
        self.start, self.end = min(self.start, start), max(self.end, end)


@dataclass
class _Part:
    """State of a part, in stored seconds: first and last decoding timestamp, and the span of its samples."""

    first: float
    last: float
    all_samples: _Span = field(default_factory=_Span)
    pictures: _Span = field(default_factory=_Span)

    @property
    def start(self) -> float:
        """Time of its first frame, or else of its first sample."""
        starts = (self.pictures.start, self.all_samples.start, self.first)
        return next(start for start in starts if isfinite(start))


@dataclass
class _StreamPosition:
    part: int
    last: int


class ClockBuilder:
    """Finds the parts of a file from its packets, given in file order.

    Args:
        zero_seconds: stored timestamp at which the clock starts.
        closes_gaps: whether timestamps that jump far ahead start a new part as well.
    """

    def __init__(self, *, zero_seconds: float, closes_gaps: bool) -> None:
        self.zero_seconds, self.closes_gaps = zero_seconds, closes_gaps
        self._parts: list[_Part] = []
        self._positions: dict[int, _StreamPosition] = {}
        self._first_parts: dict[int, int] = {}
        self._jumps: dict[int, list[StreamJump]] = {}

    def add(self, packet: Any, *, duration_seconds: float, is_picture: bool) -> int:
        """Adds a packet of `duration_seconds`; returns its part."""
        index, unit = packet.stream.index, float(packet.time_base)
        part = self._part_of(index, packet.dts, unit=unit)
        if packet.pts is not None:
            start, end = packet.pts * unit, packet.pts * unit + duration_seconds
            self._parts[part].all_samples.include(start, end)
            if is_picture:
                self._parts[part].pictures.include(start, end)
        return part

    def _part_of(self, index: int, dts: int | None, *, unit: float) -> int:
        seconds = self.zero_seconds if dts is None else dts * unit
        if not self._parts:
            self._parts.append(_Part(seconds, seconds))
        position = self._positions.get(index)
        if position is None:  # a stream may start in a later part
            part = self._first_parts.setdefault(index, len(self._parts) - 1)
            if dts is not None:
                self._positions[index] = _StreamPosition(part, dts)
            return part
        if dts is None:
            return position.part
        if self._has_jumped(position, seconds, unit=unit):
            part = self._next_part(position.part, seconds)
            self._jumps.setdefault(index, []).append(StreamJump(position.last, dts, part))
            position.part = part
        position.last = dts
        self._parts[position.part].last = max(self._parts[position.part].last, seconds)
        return position.part

    def _has_jumped(self, position: _StreamPosition, seconds: float, *, unit: float) -> bool:
        last = position.last * unit
        latest = max(last, self._parts[position.part].last)  # over all streams, since one may pause for long
        return seconds < last - JUMP_BACK_SECONDS or (self.closes_gaps and seconds > latest + JUMP_AHEAD_SECONDS)

    def _next_part(self, part: int, seconds: float) -> int:
        """A later part that another stream has already reached and that fits this time, or a new one."""
        for later in range(part + 1, len(self._parts)):
            candidate = self._parts[later]
            if candidate.first - JUMP_AHEAD_SECONDS <= seconds <= candidate.last + JUMP_AHEAD_SECONDS:
                return later
        self._parts.append(_Part(seconds, seconds))
        return len(self._parts) - 1

    def clock(self) -> MediaClock:
        offsets = [-self.zero_seconds]
        for before, after in pairwise(self._parts):
            offsets.append(offsets[-1] + _part_offset(before, after))
        jumps = {index: tuple(stream_jumps) for index, stream_jumps in self._jumps.items()}
        return MediaClock(tuple(offsets), dict(self._first_parts), jumps)

    def end_seconds(self, clock: MediaClock) -> float:
        """End of the last sample on the clock; 0 if no packet has a timestamp."""
        ends = [part.all_samples.end + offset for part, offset in zip(self._parts, clock.offsets, strict=False)]
        return max([0.0, *(end for end in ends if isfinite(end))])

    def jump_warnings(self, clock: MediaClock) -> tuple[str, ...]:
        """A warning that lists the jumps of stored timestamps; none for a file of one part."""
        joints = [
            f"at {after.start + offset:.1f} s (from {before.last:.1f} to {after.start:.1f} s as stored)"
            for (before, after), offset in zip(pairwise(self._parts), clock.offsets[1:], strict=True)
        ]
        if not joints:
            return ()
        remainder = f" and {len(joints) - MAX_NAMED_JUMPS} times more" if len(joints) > MAX_NAMED_JUMPS else ""
        return (
            f"the file's times jump {', '.join(joints[:MAX_NAMED_JUMPS])}{remainder}: recordings were joined in it; "
            "each is placed after the one before",
        )


def _part_offset(before: _Part, after: _Part) -> float:
    """Difference of the clock offsets of two consecutive parts."""
    whole = before.all_samples.end - after.all_samples.start
    pictures = before.pictures.end - after.pictures.start
    # Audio is padded at both ends, so the video streams are joined, unless the audio is really longer.
    shift = pictures if abs(whole - pictures) <= PADDING_SECONDS else whole
    return shift if isfinite(shift) else before.last - after.first
