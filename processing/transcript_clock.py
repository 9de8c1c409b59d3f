"""Times of transcripts: numbers, clock times, frame counts; and whether whole numbers are seconds or milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

# 01:02:03,500, 62:03.5 and 1:02: hours have any number of digits, a fraction may be missing.
_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d{1,2}(?:[.,]\d+)?)")
# SMPTE 01:02:03:12, with ; where frame numbers are dropped.
_FRAME_CLOCK = re.compile(r"(?P<hours>\d+):(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2})(?P<mark>[:;])(?P<frame>\d{1,3})")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(ms|s)?", re.IGNORECASE)
FRAME_RATES = (25, 30, 50, 60, 120)  # of the video, where nobody says it: the least that has the frame numbers seen
DROP_FRAME_RATE = 30_000 / 1001

# Whole numbers can be seconds or, as whisper's TSV has them, milliseconds: no utterance is typically longer than 100 s
# and none shorter than 100 ms.
LONGEST_TYPICAL_SECONDS = 100
SHORTEST_WORD_MILLISECONDS = 20
LARGEST_NUMBER = 1e10  # in seconds or milliseconds: beyond it a number is no time, and sums lose their fraction
LONGEST_TEXT = 40  # characters of a time; matching a longer text of digits would take its length squared
FASTEST_SPEECH = 100  # characters a second; people reach 25


@dataclass(frozen=True)
class MediaFacts:
    """What is known of the video that a transcript belongs to: where it ends, and its frames a second."""

    duration_seconds: float | None = None
    frame_rate: float | None = None


@dataclass(frozen=True)
class Time:
    """A time as it was read. unit_is_known: of a clock time and of "1.2s", but not of a bare number."""

    value: float
    unit_is_known: bool = False


def read_time(value: Any, *, frame_rate: float | None = None) -> Time | None:
    """Returns a number, "1.2s", or a clock time such as 00:01:02,500 or, in frames, 00:01:02:12; else None.

    Args:
        value: As it stands in the transcript.
        frame_rate: Frames a second of clock times that count frames; see `choose_frame_rate`.
    """
    time = _read_time(value, frame_rate=frame_rate)
    return time if time is not None and abs(time.value) <= LARGEST_NUMBER else None


def _read_time(value: Any, *, frame_rate: float | None) -> Time | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Time(float(value)) if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else None
    text = "" if value is None else str(value).strip()
    if len(text) > LONGEST_TEXT:
        return None
    if clock := _CLOCK.fullmatch(text):
        minutes = int(clock["hours"] or 0) * 60 + int(clock["minutes"])
        return Time(minutes * 60 + float(clock["seconds"].replace(",", ".")), unit_is_known=True)
    if frames := _FRAME_CLOCK.fullmatch(text):
        return Time(_frame_clock_seconds(frames, rate=frame_rate or FRAME_RATES[0]), unit_is_known=True)
    if number := _NUMBER.fullmatch(text):
        scale = 1000 if (number[2] or "").lower() == "ms" else 1
        return Time(float(number[1]) / scale, unit_is_known=number[2] is not None)
    return None


def choose_frame_rate(values: Iterable[Any], *, video: float | None) -> float | None:
    """Returns the frames a second that clock times in frames (SMPTE) count in, None where there are no such times.

    Args:
        values: All times of the transcript.
        video: Frames a second of the video, where they are known.
    """
    clocks = [match for value in values if isinstance(value, str) and (match := _FRAME_CLOCK.fullmatch(value.strip()))]
    if not clocks:
        return None
    largest = max(int(match["frame"]) for match in clocks)
    if video is not None and largest < round(video):
        return video
    if any(match["mark"] == ";" for match in clocks) and largest < 30:
        return DROP_FRAME_RATE
    return next((float(rate) for rate in FRAME_RATES if largest < rate), float(largest + 1))


def _frame_clock_seconds(clock: re.Match[str], *, rate: float) -> float:
    nominal = round(rate)  # 29.97 frames a second are counted as if they were 30
    minutes = int(clock["hours"]) * 60 + int(clock["minutes"])
    frames = (minutes * 60 + int(clock["seconds"])) * nominal + int(clock["frame"])
    if clock["mark"] == ";":  # two numbers (of 30) are left out in every minute but the tenth
        frames -= nominal // 15 * (minutes - minutes // 10)
    return frames / rate


def are_milliseconds(starts: np.ndarray, ends: np.ndarray, *, characters: int, duration_seconds: float | None) -> bool:
    """Says whether whole numbers, whose unit nobody states, are milliseconds.

        a video of 27 s    240 .. 26560   seconds would lie beyond its end, milliseconds fit
        length unknown     0 .. 1200      an utterance of 1200 s is not typical, one of 1.2 s is

    Args:
        starts, ends: (U,) of the utterances.
        characters: Of all words: 12,000 of them are not said in 1.2 s.
        duration_seconds: Of the video, where it is known.
    """
    length = float(np.median(ends - starts))
    if length < SHORTEST_WORD_MILLISECONDS:
        return False
    if duration_seconds is not None and np.median(starts) >= duration_seconds:
        return bool(np.median(ends) <= (duration_seconds + 1) * 1000)
    spoken_seconds = float((ends - starts).clip(min=0).sum()) / 1000
    return length > LONGEST_TYPICAL_SECONDS and characters <= FASTEST_SPEECH * spoken_seconds
