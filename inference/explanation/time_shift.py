"""Moves the times in a generated explanation from the clock of its chunk to that of the video."""

from __future__ import annotations

import re

# "1.8 s", "1.8-2.4 s", "1.8 to 2.4 s", "1.8 and 2.4 s": the forms in which prompts and answers write times. How long
# something lasts ("for only 0.20 s", "(0.20 s)") is no time, and what is quoted is nobody's time.
_QUOTED = r'"[^"]*"'
_LENGTH = r"(?:\b[Ff]or(?: only)? |\()\d+(?:\.\d+)? s\b"
_TIMES = re.compile(
    rf"{_QUOTED}|{_LENGTH}|"
    r"(?<![\w.])(?P<first>\d+(?:\.\d+)?)(?:(?P<link>\s?-\s?| to | and )(?P<last>\d+(?:\.\d+)?))? s\b"
)


def shift_times(text: str, *, seconds: float) -> str:
    """`text` with every time in it `seconds` later: the model counts from its chunk's start, readers from the clip's.

    >>> shift_times("She smiles at 1.8 s.", seconds=60.0)
    'She smiles at 61.8 s.'
    """
    if seconds == 0:
        return text
    return _TIMES.sub(lambda match: _later(match, seconds), text)


def _later(match: re.Match[str], seconds: float) -> str:
    first, last = match["first"], match["last"]
    if first is None:
        return match.group()
    later = f"{float(first) + seconds:.1f}"
    return f"{later} s" if last is None else f"{later}{match['link']}{float(last) + seconds:.1f} s"
