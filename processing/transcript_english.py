"""English beside a transcript in another language, asked of the recogniser on the same stretch of sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .block_recognition import is_silent
from .clip import Utterance, prompt_words
from .spoken_languages import ENGLISH, language_code, language_name, with_text_languages


def with_english(
    utterances: Sequence[Utterance],
    *,
    read: Callable[[float, float], np.ndarray | None] | None,
    recognizer: Any = None,
    block_seconds: float,
    language: str | None = None,
) -> tuple[Utterance, ...]:
    """Returns the utterances of a transcript with their language, and with English where they are in another one.

    Args:
        utterances: By start.
        read: Gives the waveform from one second to another; None where there is no sound.
        recognizer: What has `translate(waveform, spans, language=)`; others are not asked.
        block_seconds: Of sound in memory at a time.
        language: Of the transcript and of the speech; None identifies that of the text and hears that of the speech.
    """
    code = language_code(language)
    if code is not None:
        utterances = [each if each.language is not None else replace(each, language=code) for each in utterances]
    known = list(with_text_languages(utterances))
    translate = getattr(recognizer, "translate", None)
    wanted = [place for place, each in enumerate(known) if _needs_english(each)]
    if read is None or translate is None:
        return tuple(known)
    for block in _blocks([known[place] for place in wanted], places=wanted, seconds=block_seconds):
        start = known[block[0]].start_seconds
        end = max(known[place].end_seconds for place in block)
        waveform = read(start, end)
        if waveform is None or is_silent(waveform):
            continue
        spans = [(known[place].start_seconds - start, known[place].end_seconds - start) for place in block]
        for place, english in zip(block, translate(waveform, spans, language=code), strict=True):
            known[place] = replace(known[place], english=english)
    return tuple(known)


def unused_words_notes(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """Returns a note that names the utterances whose words no English text stands for; none where all have one."""
    unused = [each for each in utterances if each.text.strip() and not prompt_words(each).strip()]
    notes = []
    for code in dict.fromkeys(str(each.language) for each in unused):
        spans = [f"{u.start_seconds:.1f}-{u.end_seconds:.1f} s" for u in unused if u.language == code]
        shown = ", ".join(spans[:3]) + (f" and {len(spans) - 3} more" if len(spans) > 3 else "")
        notes.append(f"{language_name(code)} words at {shown} are not used: there is no English text of them")
    return tuple(notes)


def _needs_english(utterance: Utterance) -> bool:
    return utterance.language not in (None, ENGLISH) and not (utterance.english or "").strip()


def _blocks(utterances: Sequence[Utterance], *, places: Sequence[int], seconds: float) -> list[list[int]]:
    """The places in groups, none of which spans more than `seconds` (but for an utterance that does by itself)."""
    blocks: list[list[int]] = []
    first = 0.0
    for utterance, place in zip(utterances, places, strict=True):
        if blocks and utterance.end_seconds - first <= seconds:
            blocks[-1].append(place)
        else:
            blocks.append([place])
            first = utterance.start_seconds
    return blocks
