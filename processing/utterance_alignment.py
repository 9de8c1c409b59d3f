"""Aligns utterances with the video; every correction follows a rule and adds a warning.

| problem | correction |
|---|---|
| a recogniser's tags among the words | moved to `foreign_tags` |
| no words | left out |
| out of order | sorted by start |
| starts after the end of the video | left out |
| ends after the end of the video | cut at the end of the video |
| duplicate | left out |
| overlaps with the next utterance | both meet in the middle of the overlap |
| two known speakers at once, or one utterance within another | unchanged |
| shorter than `MIN_UTTERANCE_SECONDS` | lengthened |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from .clip import Utterance
from .recogniser_tags import tags_warning, without_tags
from .transcript_formats import TranscriptSource, parse_transcript

MIN_UTTERANCE_SECONDS = 0.1
TOLERANCE_SECONDS = 0.005  # rounding of transcripts that needs no warning


def align_utterances(
    utterances: Iterable[Utterance], *, duration_seconds: float
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Returns the corrected utterances, sorted by time, and a warning per correction (one for all tags).

    Args:
        utterances: with times in seconds on the video's clock.
        duration_seconds: end of the video on that clock.
    """
    if duration_seconds <= 0:
        raise ValueError(f"duration_seconds ({duration_seconds}) must be > 0")
    untagged = [without_tags(utterance) for utterance in utterances]
    tags = tags_warning(untagged)
    warnings = [] if tags is None else [tags]
    with_words = _drop_empty(untagged, warnings)
    ordered = _sort(with_words, warnings)
    inside = _clip_to_end(ordered, duration_seconds, warnings)
    separate = _split_overlaps(_drop_duplicates(inside, warnings), warnings)
    aligned = _lengthen(separate, duration_seconds, warnings)
    return tuple(sorted(aligned, key=_order)), tuple(warnings)


def _order(utterance: Utterance) -> tuple[float, float]:
    return utterance.start_seconds, utterance.end_seconds


def _drop_empty(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    warnings += [f"{_span(u)} was left out: it has no words" for u in utterances if not u.text.strip()]
    return [utterance for utterance in utterances if utterance.text.strip()]


def _sort(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    for earlier, later in pairwise(utterances):
        if later.start_seconds < earlier.start_seconds:
            warnings.append(f"{_span(later)} came after {_span(earlier)}: they were sorted")
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
    unique: list[Utterance] = []
    for utterance in utterances:
        if utterance in unique[-2:]:
            warnings.append(f"{_span(utterance)} was left out: it is a duplicate")
        else:
            unique.append(utterance)
    return unique


def _split_overlaps(utterances: list[Utterance], warnings: list[str]) -> list[Utterance]:
    separate = list(utterances)
    for index in range(len(separate) - 1):
        first, second = separate[index], separate[index + 1]
        overlap = first.end_seconds - second.start_seconds
        if overlap <= 0:
            continue
        midpoint = (second.start_seconds + first.end_seconds) / 2
        two_speakers = first.speaker and second.speaker and first.speaker != second.speaker
        if two_speakers or second.end_seconds <= first.end_seconds or first.start_seconds == second.start_seconds:
            warnings.append(
                f"{_span(first)} and {_span(second)} overlap: both were kept, as they may be spoken at once"
            )
            continue
        if overlap > TOLERANCE_SECONDS:
            warnings.append(f"{_span(first)} and {_span(second)} overlap: they now meet at {midpoint:.2f} s")
        separate[index] = replace(first, end_seconds=midpoint)
        separate[index + 1] = replace(second, start_seconds=midpoint)
    return separate


def _lengthen(utterances: list[Utterance], end: float, warnings: list[str]) -> list[Utterance]:
    lengthened = []
    for utterance in utterances:
        if utterance.end_seconds - utterance.start_seconds < MIN_UTTERANCE_SECONDS - TOLERANCE_SECONDS:
            warnings.append(f"{_span(utterance)} is too short: it was lengthened to {MIN_UTTERANCE_SECONDS} s")
            new_end = min(utterance.start_seconds + MIN_UTTERANCE_SECONDS, end)
            start = min(utterance.start_seconds, max(new_end - MIN_UTTERANCE_SECONDS, 0.0))
            utterance = replace(utterance, start_seconds=start, end_seconds=new_end)
        lengthened.append(utterance)
    return lengthened


def _span(utterance: Utterance) -> str:
    text = utterance.text if len(utterance.text) <= 20 else utterance.text[:17] + "..."
    return f"{utterance.start_seconds:.2f}-{utterance.end_seconds:.2f} s {text!r}"


__all__ = ["TranscriptSource", "align_utterances", "parse_transcript"]
