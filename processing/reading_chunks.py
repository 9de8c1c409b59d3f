"""Splits a long clip into chunks of whole utterances. Pure arithmetic on times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .clip import Utterance

MARGIN_SECONDS = 0.5  # of silence kept before and after a chunk's speech, if there is as much


@dataclass(frozen=True)
class Chunk:
    """A part of the clip in seconds, with its utterances."""

    start_seconds: float
    end_seconds: float
    utterances: tuple[Utterance, ...]


def plan_chunks(
    utterances: Sequence[Utterance], *, duration_seconds: float, max_chunk_seconds: float
) -> tuple[Chunk, ...]:
    """Chunks of whole utterances, in order of time; a single chunk if the clip is not longer than allowed.

    An utterance that would make the current chunk too long starts a new one::

        clip        |------------------------------------------------------|
        utterances    [--1--] [-2-]              [--3--]   [---4---]
        chunks       [             ]            [                    ]

    Silence between chunks belongs to none of them. Utterances must be sorted by start and not longer than
    `max_chunk_seconds` (`split_long_utterances`).
    """
    if duration_seconds <= max_chunk_seconds:
        return (Chunk(0.0, duration_seconds, tuple(utterances)),)
    groups: list[list[Utterance]] = []
    for utterance in utterances:
        if groups and _end([*groups[-1], utterance]) - groups[-1][0].start_seconds <= max_chunk_seconds:
            groups[-1].append(utterance)
        else:
            groups.append([utterance])
    chunks = []
    for index, group in enumerate(groups):
        start, end = group[0].start_seconds, _end(group)
        before = start - (_end(groups[index - 1]) if index else 0.0)
        after = (groups[index + 1][0].start_seconds if index + 1 < len(groups) else duration_seconds) - end
        spare = max(0.0, (max_chunk_seconds - (end - start)) / 2)
        chunks.append(
            Chunk(
                max(0.0, start - min(MARGIN_SECONDS, spare, max(before / 2, 0.0))),
                end + min(MARGIN_SECONDS, spare, max(after / 2, 0.0)),
                tuple(group),
            )
        )
    return tuple(chunks)


def split_long_utterances(
    utterances: Sequence[Utterance], *, max_chunk_seconds: float
) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """Splits utterances longer than a chunk into equal parts that share the words evenly; returns warnings too."""
    parts: list[Utterance] = []
    warnings: list[str] = []
    for utterance in utterances:
        seconds = utterance.end_seconds - utterance.start_seconds
        count = math.ceil(seconds / max_chunk_seconds)
        if count > 1:
            warnings.append(
                f"the utterance at {utterance.start_seconds:.1f} s lasts {seconds:.1f} s, longer than a chunk "
                f"({max_chunk_seconds:g} s): cut into {count} parts"
            )
        parts += _equal_parts(utterance, count=max(count, 1))
    return tuple(parts), tuple(warnings)


def _equal_parts(utterance: Utterance, *, count: int) -> list[Utterance]:
    if count == 1:
        return [utterance]
    start, seconds = utterance.start_seconds, utterance.end_seconds - utterance.start_seconds
    edges = [start + seconds * part / count for part in range(count)] + [utterance.end_seconds]
    texts = _equal_shares(utterance.text, count=count)
    english = [None] * count if utterance.english is None else _equal_shares(utterance.english, count=count)
    return [
        replace(
            utterance,
            start_seconds=edges[part],
            end_seconds=edges[part + 1],
            text=texts[part],
            english=english[part],
        )
        for part in range(count)
    ]


def _equal_shares(text: str, *, count: int) -> list[str]:
    words = text.split()
    return [" ".join(words[len(words) * part // count : len(words) * (part + 1) // count]) for part in range(count)]


def _end(group: Sequence[Utterance]) -> float:
    return max(utterance.end_seconds for utterance in group)
