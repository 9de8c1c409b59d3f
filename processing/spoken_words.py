"""Utterances made of single words with times, as recognisers give them that mark words alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PAUSE_SECONDS = 0.7  # silence that parts two utterances
LONGEST_UTTERANCE_SECONDS = 15.0  # where nobody pauses
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’)\]]*$")
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uff01-\uff60、。]")  # Thai, Japanese, Chinese


class TimedWord(NamedTuple):
    """One word, or one character of scripts without spaces; seconds."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    language: str | None = None


def group_words(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Returns utterances (start, end, text, speaker, and the language of the first word): a new one where the speaker
    changes, a sentence has ended, or after a pause.
    """
    groups: list[list[TimedWord]] = []
    for word in words:
        if groups and not _parts(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        group[0]._replace(end_seconds=max(word.end_seconds for word in group), text=join_words(group))
        for group in groups
    ]


def _parts(group: Sequence[TimedWord], word: TimedWord) -> bool:
    last = group[-1]
    return (
        word.speaker != last.speaker
        or word.start_seconds < last.start_seconds
        or word.start_seconds - last.end_seconds > PAUSE_SECONDS
        or word.end_seconds - group[0].start_seconds > LONGEST_UTTERANCE_SECONDS
        or _SENTENCE_END.search(last.text) is not None
    )


def join_words(words: Sequence[TimedWord]) -> str:
    """Returns the words as text; scripts that write no spaces get none."""
    joined = ""
    for word in words:
        text = word.text.strip()
        apart = joined and text and not (_NO_SPACES.match(joined[-1]) and _NO_SPACES.match(text[0]))
        joined += (" " if apart else "") + text
    return joined


def punctuated(words: Sequence[str], *, text: str | None) -> list[str]:
    """Returns the words as they stand in `text`, with its punctuation, where it has just these; else as given."""
    tokens = (text or "").split()
    plain = [_letters(word) for word in words]
    return tokens if tokens and [_letters(token) for token in tokens] == plain else list(words)


def _letters(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
