"""Captions that roll: each cue repeats what the one before it showed, as video sites and live captioning write them.

0.0-2.0   hello there                                       hello there              0.0-2.0
2.0-2.01  hello there                                  ->
2.0-4.0   hello there                                       general kenobi           2.5-3.9
          <00:00:02.5><c>general</c><00:00:02.9><c> kenobi</c>
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

TOUCHING_SECONDS = 0.1  # a repetition after a longer gap was spoken again
LONGEST_LAST_WORD_SECONDS = 1.0  # the last word of a cue is shown until the next one comes, however long that takes
ROLLING_SHARE = 0.5  # of the touching pairs of cues
FEWEST_PAIRS = 2  # that repeat and go on, where no word has a time: in dialogue "No." and "No. Never." happens once


@dataclass(frozen=True)
class CaptionWord:
    """A word and, where an inline tag says it, the second at which it is spoken."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class RollingCue:
    """A cue's words, and the index of the first word of each of its lines."""

    start_seconds: float
    end_seconds: float
    words: tuple[CaptionWord, ...]
    line_begins: tuple[int, ...]


@dataclass(frozen=True)
class Phrase:
    """What a cue says that the one before it did not."""

    start_seconds: float
    end_seconds: float
    text: str


def unroll(cues: Sequence[RollingCue]) -> list[Phrase] | None:
    """Returns the phrases of rolling captions, each word once, timed by its tag; None where the cues do not roll."""
    cues = [cue for cue in cues if cue.words]
    repeats = [repeated_words(first, second) for first, second in pairwise(cues)]
    touching = sum(_touch(first, second) for first, second in pairwise(cues))
    growing = sum(0 < count < len(cue.words) for count, cue in zip(repeats, cues[1:], strict=True))
    has_times = any(word.seconds is not None for cue in cues for word in cue.words)
    rolls = growing >= (1 if has_times else FEWEST_PAIRS)
    if not rolls or sum(count > 0 for count in repeats) < ROLLING_SHARE * touching:
        return None
    phrases: list[Phrase] = []
    for cue, repeated in zip(cues, (0, *repeats), strict=True):
        if repeated == len(cue.words):
            continue
        phrase = _phrase(cue, repeated)
        if phrases and repeated not in cue.line_begins:  # the line that stood there grows on
            last = phrases.pop()
            phrase = Phrase(last.start_seconds, phrase.end_seconds, f"{last.text} {phrase.text}")
        phrases.append(phrase)
    return phrases


def repeated_words(first: RollingCue, second: RollingCue) -> int:
    """Returns how many of the second cue's first words are the first cue's last lines."""
    if not _touch(first, second):
        return 0
    shown, words = [[word.text for word in cue.words] for cue in (first, second)]
    return next((len(shown) - begin for begin in first.line_begins if shown[begin:] == words[: len(shown) - begin]), 0)


def _touch(first: RollingCue, second: RollingCue) -> bool:
    return second.start_seconds - first.end_seconds <= TOUCHING_SECONDS


def _phrase(cue: RollingCue, repeated: int) -> Phrase:
    fresh = cue.words[repeated:]
    start = cue.start_seconds if fresh[0].seconds is None else fresh[0].seconds
    end = cue.end_seconds
    if fresh[-1].seconds is not None:
        end = min(end, fresh[-1].seconds + LONGEST_LAST_WORD_SECONDS)
    return Phrase(start, end, " ".join(word.text for word in fresh))
