"""Groups timed words into utterances, for transcripts that have only word timestamps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PAUSE_SECONDS = 0.7  # silence that separates two utterances
MAX_UTTERANCE_SECONDS = 15.0  # of speech without pauses
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’)\]]*$")
_NO_SPACES = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uff01-\uff60、。]")  # Thai, Japanese, Chinese


class TimedWord(NamedTuple):
    """One word, or one character in scripts without spaces; times in seconds."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    language: str | None = None


def group_words(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Groups words into utterances (start, end, text, speaker, language of the first word).

    A new utterance starts after a change of speaker, the end of a sentence, or a pause.
    """
    groups: list[list[TimedWord]] = []
    for word in words:
        if groups and not _starts_utterance(groups[-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [
        group[0]._replace(end_seconds=max(word.end_seconds for word in group), text=join_words(group))
        for group in groups
    ]


def _starts_utterance(group: Sequence[TimedWord], word: TimedWord) -> bool:
    last = group[-1]
    return (
        word.speaker != last.speaker
        or word.start_seconds < last.start_seconds
        or word.start_seconds - last.end_seconds > PAUSE_SECONDS
        or word.end_seconds - group[0].start_seconds > MAX_UTTERANCE_SECONDS
        or _SENTENCE_END.search(last.text) is not None
    )


def join_words(words: Sequence[TimedWord]) -> str:
    """Joins words to text, without spaces in scripts that do not use them."""
    joined = ""
    for word in words:
        text = word.text.strip()
        needs_space = joined and text and not (_NO_SPACES.match(joined[-1]) and _NO_SPACES.match(text[0]))
        joined += (" " if needs_space else "") + text
    return joined


def punctuated(words: Sequence[str], *, text: str | None) -> list[str]:
    """Returns the words with the punctuation of `text` if it consists of the same words; else unchanged."""
    tokens = (text or "").split()
    letters = [_letters(word) for word in words]
    return tokens if tokens and [_letters(token) for token in tokens] == letters else list(words)


def _letters(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
