"""Rolling captions, as on video sites and in live captioning: each cue repeats the text of the previous one.

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
MAX_LAST_WORD_SECONDS = 1.0  # the last word of a cue is shown until the next cue, however long that takes
ROLLING_SHARE = 0.5  # of touching pairs of cues that repeat words
MIN_GROWING_PAIRS = 2  # without word times; in dialogue "No." and "No. Never." may occur once


@dataclass(frozen=True)
class CaptionWord:
    """A word and its time in seconds, if an inline tag gives it."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class RollingCue:
    """A cue's words, and the index of the first word of each line."""

    start_seconds: float
    end_seconds: float
    words: tuple[CaptionWord, ...]
    line_starts: tuple[int, ...]


@dataclass(frozen=True)
class Phrase:
    """The new words of a cue."""

    start_seconds: float
    end_seconds: float
    text: str


def unroll(cues: Sequence[RollingCue]) -> list[Phrase] | None:
    """Returns the phrases of rolling captions, each word once, timed by its tags; None if the cues do not roll."""
    cues = [cue for cue in cues if cue.words]
    repeats = [repeated_words(first, second) for first, second in pairwise(cues)]
    touching = sum(_touch(first, second) for first, second in pairwise(cues))
    growing = sum(0 < count < len(cue.words) for count, cue in zip(repeats, cues[1:], strict=True))
    has_times = any(word.seconds is not None for cue in cues for word in cue.words)
    rolls = growing >= (1 if has_times else MIN_GROWING_PAIRS)
    if not rolls or sum(count > 0 for count in repeats) < ROLLING_SHARE * touching:
        return None
    phrases: list[Phrase] = []
    for cue, repeated in zip(cues, (0, *repeats), strict=True):
        if repeated == len(cue.words):
            continue
        phrase = _phrase(cue, repeated)
        if phrases and repeated not in cue.line_starts:  # the previous line continues
            previous = phrases.pop()
            phrase = Phrase(previous.start_seconds, phrase.end_seconds, f"{previous.text} {phrase.text}")
        phrases.append(phrase)
    return phrases


def repeated_words(first: RollingCue, second: RollingCue) -> int:
    """Number of words at the start of the second cue that repeat the last lines of the first cue."""
    if not _touch(first, second):
        return 0
    previous, words = [[word.text for word in cue.words] for cue in (first, second)]
    counts = (
        len(previous) - start for start in first.line_starts if previous[start:] == words[: len(previous) - start]
    )
    return next(counts, 0)


def _touch(first: RollingCue, second: RollingCue) -> bool:
    return second.start_seconds - first.end_seconds <= TOUCHING_SECONDS


def _phrase(cue: RollingCue, repeated: int) -> Phrase:
    new_words = cue.words[repeated:]
    start = cue.start_seconds if new_words[0].seconds is None else new_words[0].seconds
    end = cue.end_seconds
    if new_words[-1].seconds is not None:
        end = min(end, new_words[-1].seconds + MAX_LAST_WORD_SECONDS)
    return Phrase(start, end, " ".join(word.text for word in new_words))
