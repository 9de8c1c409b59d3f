"""Recognises speech in recordings of any length, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np

from .clip import Transcription, Utterance

Progress = Callable[[str, int, int], None]

SILENT_PEAK = 1e-3  # amplitude, -60 dB; below it audio counts as silent
BLOCK_EDGE_SECONDS = 1.0  # speech this close to a block's end may continue in the next block


class Recognizer(Protocol):
    """Transcribes audio if no transcript is given, as `SpeechRecognizer`.

    It may return a `Transcription` instead of a tuple, to report speech with low confidence. With a `translate`
    method, as
    `SpeechRecognizer` has, transcripts in other languages are translated to English.
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
    """Transcribes a long recording with one block of audio in memory at a time.

    Speech that may continue beyond a block is left to the next block, which starts with it::

        speech    [--1--]  [--2--]      [-----3-----]
        block 1   |----------------------------|         returns 1, 2; 3 touches the edge
        block 2                         |----------...   returns 3

    Args:
        read: returns the waveform between two times in seconds.
    """
    utterances: list[Utterance] = []
    low_confidence: list[Utterance] = []
    start = 0.0
    while start < duration_seconds:
        end = min(start + block_seconds, duration_seconds)
        waveform = read(start, end)
        transcription: tuple[Utterance, ...] = ()
        if waveform is not None and not is_silent(waveform):
            transcription = recognizer.transcribe(waveform, language=language)
        shifted = _later(transcription, seconds=start)
        next_start = end
        if end < duration_seconds and shifted and _may_continue(shifted[-1], block_start=start, block_end=end):
            next_start = shifted.pop().start_seconds
        utterances += shifted
        uncertain = _later(getattr(transcription, "low_confidence", ()), seconds=start)
        low_confidence += [
            each for each in uncertain if each.start_seconds < next_start
        ]  # the rest is recognised again
        start = next_start
        if progress is not None:
            progress("speech", round(start), round(duration_seconds))
    return Transcription(utterances, low_confidence=low_confidence)


def _later(utterances: Iterable[Utterance], *, seconds: float) -> list[Utterance]:
    return [
        replace(each, start_seconds=each.start_seconds + seconds, end_seconds=each.end_seconds + seconds)
        for each in utterances
    ]


def _may_continue(utterance: Utterance, *, block_start: float, block_end: float) -> bool:
    """True for speech at a block's end, unless it fills the block (it would never end)."""
    near_end = utterance.end_seconds > block_end - BLOCK_EDGE_SECONDS
    return near_end and utterance.start_seconds > block_start + BLOCK_EDGE_SECONDS


def is_silent(waveform: np.ndarray) -> bool:
    """True if no sample exceeds `SILENT_PEAK`."""
    return len(waveform) == 0 or float(np.max(np.abs(waveform))) < SILENT_PEAK
