"""Speech of recordings of any length: recognised block by block, with one block of sound in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from .clip import Transcription, Utterance

Progress = Callable[[str, int, int], None]

SILENT_PEAK = 1e-3  # amplitude, -60 dB: below it a track is called silent
BLOCK_EDGE_SECONDS = 1.0  # speech that reaches this near to a block's end may go on in the next


class Recognizer(Protocol):
    """What makes utterances of sound when no transcript is given; `SpeechRecognizer` is one.

    A `Transcription` instead of a plain tuple also tells what was heard with low confidence.
    One that has `translate` too, as `SpeechRecognizer`, gives English beside a transcript in another language.
    """

    def transcribe(
        self, waveform: np.ndarray, *, language: str | None = None, progress: Progress | None = None
    ) -> tuple[Utterance, ...]: ...


def recognize_in_blocks(
    read: Callable[[float, float], np.ndarray | None],
    *,
    recognizer: Recognizer,
    duration_seconds: float,
    block_seconds: float,
    language: str | None = None,
    progress: Progress | None = None,
) -> Transcription:
    """Utterances of a long recording with one block of sound in memory at a time.

    Speech that may go on beyond a block is left to the next block, which begins with it::

        speech    [--1--]  [--2--]      [-----3-----]
        block 1   |----------------------------|         finds 1, 2; 3 touches the edge
        block 2                         |----------...   finds 3

    Args:
        read: gives the waveform from one second to another.
    """
    utterances: list[Utterance] = []
    low_confidence: list[Utterance] = []
    start = 0.0
    while start < duration_seconds:
        end = min(start + block_seconds, duration_seconds)
        waveform = read(start, end)
        found: tuple[Utterance, ...] = ()
        if waveform is not None and not is_silent(waveform):
            found = recognizer.transcribe(waveform, language=language)
        shifted = _later(found, seconds=start)
        next_start = end
        if end < duration_seconds and shifted and _goes_on(shifted[-1], block_start=start, block_end=end):
            next_start = shifted.pop().start_seconds
        utterances += shifted
        unsure = _later(getattr(found, "low_confidence", ()), seconds=start)
        low_confidence += [each for each in unsure if each.start_seconds < next_start]  # the rest is heard again
        start = next_start
        if progress is not None:
            progress("speech", round(start), round(duration_seconds))
    return Transcription(utterances, low_confidence=low_confidence)


def _later(utterances: Iterable[Utterance], *, seconds: float) -> list[Utterance]:
    return [
        replace(each, start_seconds=each.start_seconds + seconds, end_seconds=each.end_seconds + seconds)
        for each in utterances
    ]


def _goes_on(utterance: Utterance, *, block_start: float, block_end: float) -> bool:
    """True for speech at a block's end, unless it fills the block: then leaving it to the next would never end."""
    near_end = utterance.end_seconds > block_end - BLOCK_EDGE_SECONDS
    return near_end and utterance.start_seconds > block_start + BLOCK_EDGE_SECONDS


def is_silent(waveform: np.ndarray) -> bool:
    """True where nothing is louder than `SILENT_PEAK`."""
    return len(waveform) == 0 or float(np.max(np.abs(waveform))) < SILENT_PEAK
