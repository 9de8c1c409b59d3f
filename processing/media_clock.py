"""Stored times to seconds on one clock, which begins with the file's first sample and never runs back.

Recordings that were joined byte by byte (transport streams, recorders) begin to count anew in the middle of the file::

    stored   1.4 ....... 3.4 | 1.4 ....... 3.4
    clock    0.0 ....... 2.0   2.0 ....... 4.0
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any

JUMP_BACK_SECONDS = 0.2  # decoding times that go back by more begin a new part; less is a careless muxer
JUMP_AHEAD_SECONDS = 10.0  # the same ahead, in formats whose times may be discontinuous; FFmpeg's threshold
PADDING_SECONDS = 0.3  # of sound at the ends of a recording
JUMPS_NAMED = 3  # in a warning


@dataclass(frozen=True)
class StreamJump:
    """Where one stream's decoding times jump, in the stream's own units, and the part that begins there."""

    before: int
    after: int
    part: int


@dataclass(frozen=True)
class MediaClock:
    """Offsets in seconds from stored times to the clock, one for each part of the file.

    first_parts: stream index -> the part in which the stream begins. jumps: stream index -> its jumps in file order.
    """

    offsets: tuple[float, ...] = (0.0,)
    first_parts: dict[int, int] = field(default_factory=dict)
    jumps: dict[int, tuple[StreamJump, ...]] = field(default_factory=dict)

    @property
    def is_joined(self) -> bool:
        return len(self.offsets) > 1


class PartFollower:
    """The part of each packet of one stream, read from the stream's first packet on in the order of the file."""

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
    """What is known of a part so far, in stored seconds: first and last decoding time, where its samples lie."""

    first: float
    last: float
    all_samples: _Span = field(default_factory=_Span)
    pictures: _Span = field(default_factory=_Span)

    @property
    def begins(self) -> float:
        """Where its first picture, or its first sample, is stored."""
        starts = (self.pictures.start, self.all_samples.start, self.first)
        return next(start for start in starts if isfinite(start))


@dataclass
class _StreamPlace:
    part: int
    last: int


class ClockBuilder:
    """Finds the parts of a file from its packets, given in file order.

    Args:
        zero_seconds: stored time at which the clock of the first part begins.
        closes_gaps: whether times that jump far ahead begin a new part as well.
    """

    def __init__(self, *, zero_seconds: float, closes_gaps: bool) -> None:
        self.zero_seconds, self.closes_gaps = zero_seconds, closes_gaps
        self._parts: list[_Part] = []
        self._places: dict[int, _StreamPlace] = {}
        self._first_parts: dict[int, int] = {}
        self._jumps: dict[int, list[StreamJump]] = {}

    def add(self, packet: Any, *, duration_seconds: float, is_picture: bool) -> int:
        """The part of a packet, which lasts for `duration_seconds`."""
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
        place = self._places.get(index)
        if place is None:  # a stream may begin in a later part
            part = self._first_parts.setdefault(index, len(self._parts) - 1)
            if dts is not None:
                self._places[index] = _StreamPlace(part, dts)
            return part
        if dts is None:
            return place.part
        if self._has_jumped(place, seconds, unit=unit):
            part = self._next_part(place.part, seconds)
            self._jumps.setdefault(index, []).append(StreamJump(place.last, dts, part))
            place.part = part
        place.last = dts
        self._parts[place.part].last = max(self._parts[place.part].last, seconds)
        return place.part

    def _has_jumped(self, place: _StreamPlace, seconds: float, *, unit: float) -> bool:
        last = place.last * unit
        latest = max(last, self._parts[place.part].last)  # of all streams: one of them may pause for long
        return seconds < last - JUMP_BACK_SECONDS or (self.closes_gaps and seconds > latest + JUMP_AHEAD_SECONDS)

    def _next_part(self, part: int, seconds: float) -> int:
        """A later part that another stream has reached already and that has room for this time, or a new one."""
        for later in range(part + 1, len(self._parts)):
            known = self._parts[later]
            if known.first - JUMP_AHEAD_SECONDS <= seconds <= known.last + JUMP_AHEAD_SECONDS:
                return later
        self._parts.append(_Part(seconds, seconds))
        return len(self._parts) - 1

    def clock(self) -> MediaClock:
        offsets = [-self.zero_seconds]
        for before, after in pairwise(self._parts):
            offsets.append(offsets[-1] + _joint(before, after))
        jumps = {index: tuple(found) for index, found in self._jumps.items()}
        return MediaClock(tuple(offsets), dict(self._first_parts), jumps)

    def end_seconds(self, clock: MediaClock) -> float:
        """Where the last sample ends on the clock; 0 where no packet has a time."""
        ends = [part.all_samples.end + offset for part, offset in zip(self._parts, clock.offsets, strict=False)]
        return max([0.0, *(end for end in ends if isfinite(end))])

    def jump_warnings(self, clock: MediaClock) -> tuple[str, ...]:
        """One warning that names where the stored times jump; none for a file of one part."""
        joints = [
            f"at {after.begins + offset:.1f} s (from {before.last:.1f} to {after.begins:.1f} s as stored)"
            for (before, after), offset in zip(pairwise(self._parts), clock.offsets[1:], strict=True)
        ]
        if not joints:
            return ()
        more = f" and {len(joints) - JUMPS_NAMED} times more" if len(joints) > JUMPS_NAMED else ""
        return (
            f"the file's times jump {', '.join(joints[:JUMPS_NAMED])}{more}: recordings were joined in it; "
            "each is placed after the one before",
        )


def _joint(before: _Part, after: _Part) -> float:
    """How much later stored times of the second part stand on the clock, compared with those of the first."""
    whole = before.all_samples.end - after.all_samples.start
    pictures = before.pictures.end - after.pictures.start
    # Sound is padded at both ends, so the pictures join, unless the sound really is longer.
    joint = pictures if abs(whole - pictures) <= PADDING_SECONDS else whole
    return joint if isfinite(joint) else before.last - after.first
