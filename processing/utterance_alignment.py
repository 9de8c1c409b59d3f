"""Utterances brought in line with the video: every mend follows a rule and is told in plain words.

| what was wrong | what is done |
|---|---|
| a recogniser's tags among the words | kept beside them, in `foreign_tags` |
| no words | left out |
| out of order | sorted by start |
| begins after the end of the video | left out |
| runs past the end of the video | ends with the video |
| the same words at the same time again | left out |
| the end lies within the next utterance | both meet in the middle of the overlap |
| two known speakers at once, or one utterance within another | kept as it is |
| shorter than `MIN_UTTERANCE_SECONDS` | lengthened to that |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from .clip import Utterance
from .recogniser_tags import tags_warning, without_tags
from .transcript_formats import TranscriptSource, parse_transcript

MIN_UTTERANCE_SECONDS = 0.1
TOLERANCE_SECONDS = 0.005  # rounding of transcripts that is no mistake


def align_utterances(
    utterances: Iterable[Utterance], *, duration_seconds: float
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Returns the mended utterances, sorted by time, and one warning for every mend; one for the tags of all.

    Args:
        utterances: Times in seconds on the clock of the video.
        duration_seconds: Where the video ends on that clock.
    """
    if duration_seconds <= 0:
        raise ValueError(f"duration_seconds ({duration_seconds}) must be > 0")
    words_alone = [without_tags(utterance) for utterance in utterances]
    tags = tags_warning(words_alone)
    warnings = [] if tags is None else [tags]
    spoken = _drop_empty(words_alone, warnings)
    ordered = _sort(spoken, warnings)
    inside = _clip_to_end(ordered, duration_seconds, warnings)
    apart = _split_overlaps(_drop_duplicates(inside, warnings), warnings)
    mended = _lengthen(apart, duration_seconds, warnings)
    return tuple(sorted(mended, key=_order)), tuple(warnings)


def _order(utterance: Utterance) -> tuple[float, float]:
    return utterance.start_seconds, utterance.end_seconds


def _drop_empty(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    warnings += [f"{_span(u)} was left out: it has no words" for u in utterances if not u.text.strip()]
    return [utterance for utterance in utterances if utterance.text.strip()]


def _sort(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    for earlier, later in pairwise(utterances):
        if later.start_seconds < earlier.start_seconds:
            warnings.append(f"{_span(later)} stood after {_span(earlier)}: they were put in order")
    return sorted(utterances, key=_order)


def _clip_to_end(utterances: list[Utterance], end: float, warnings: list[str]) -> list[Utterance]:
    inside = []
    for utterance in utterances:
        if utterance.start_seconds >= end:
            warnings.append(f"{_span(utterance)} was left out: the video ends at {end:.2f} s")
            continue
        if utterance.end_seconds > end:
            if utterance.end_seconds > end + TOLERANCE_SECONDS:
                warnings.append(f"{_span(utterance)} was cut at the end of the video, {end:.2f} s")
            utterance = replace(utterance, end_seconds=end)
        inside.append(utterance)
    return inside


def _drop_duplicates(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    kept: list[Utterance] = []
    for utterance in utterances:
        if utterance in kept[-2:]:
            warnings.append(f"{_span(utterance)} was left out: it stands there twice")
        else:
            kept.append(utterance)
    return kept


def _split_overlaps(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    apart = list(utterances)
    for index in range(len(apart) - 1):
        first, second = apart[index], apart[index + 1]
        overlap = first.end_seconds - second.start_seconds
        if overlap <= 0:
            continue
        middle = (second.start_seconds + first.end_seconds) / 2
        two_speakers = first.speaker and second.speaker and first.speaker != second.speaker
        if two_speakers or second.end_seconds <= first.end_seconds or first.start_seconds == second.start_seconds:
            warnings.append(f"{_span(first)} and {_span(second)} are spoken at once: both were kept")
            continue
        if overlap > TOLERANCE_SECONDS:
            warnings.append(f"{_span(first)} and {_span(second)} overlap: they now meet at {middle:.2f} s")
        apart[index] = replace(first, end_seconds=middle)
        apart[index + 1] = replace(second, start_seconds=middle)
    return apart


def _lengthen(utterances: list[Utterance], end: float, warnings: list[str]) -> list[Utterance]:
    long_enough = []
    for utterance in utterances:
        if utterance.end_seconds - utterance.start_seconds < MIN_UTTERANCE_SECONDS - TOLERANCE_SECONDS:
            warnings.append(f"{_span(utterance)} is too short: it was lengthened to {MIN_UTTERANCE_SECONDS} s")
            stop = min(utterance.start_seconds + MIN_UTTERANCE_SECONDS, end)
            start = min(utterance.start_seconds, max(stop - MIN_UTTERANCE_SECONDS, 0.0))
            utterance = replace(utterance, start_seconds=start, end_seconds=stop)
        long_enough.append(utterance)
    return long_enough


def _span(utterance: Utterance) -> str:
    text = utterance.text if len(utterance.text) <= 20 else utterance.text[:17] + "..."
    return f"{utterance.start_seconds:.2f}-{utterance.end_seconds:.2f} s {text!r}"


__all__ = ["TranscriptSource", "align_utterances", "parse_transcript"]
