"""Shifts the times in a generated explanation from its chunk's clock to the video's clock."""

from __future__ import annotations

import re

# Prompts and answers write times as "1.8 s", "1.8-2.4 s", "1.8 to 2.4 s" or "1.8 and 2.4 s". Durations ("for only
# 0.20 s", "(0.20 s)") and quoted text are not shifted.
_QUOTED = r'"[^"]*"'
_DURATION = r"(?:\b[Ff]or(?: only)? |\()\d+(?:\.\d+)? s\b"
_TIMES = re.compile(
    rf"{_QUOTED}|{_DURATION}|"
    r"(?<![\w.])(?P<first>\d+(?:\.\d+)?)(?:(?P<link>\s?-\s?| to | and )(?P<last>\d+(?:\.\d+)?))? s\b"
)


def shift_times(text: str, *, seconds: float) -> str:
    """Returns `text` with every time in it `seconds` later.

    The model's times are relative to its chunk's start; readers need those of the video.

    >>> shift_times("She smiles at 1.8 s.", seconds=60.0)
    'She smiles at 61.8 s.'
    """
    if seconds == 0:
        return text
    return _TIMES.sub(lambda match: _shifted(match, seconds), text)


def _shifted(match: re.Match[str], seconds: float) -> str:
    first, last = match["first"], match["last"]
    if first is None:
        return match.group()
    later = f"{float(first) + seconds:.1f}"
    return f"{later} s" if last is None else f"{later}{match['link']}{float(last) + seconds:.1f} s"


def named_times(text: str) -> tuple[tuple[float, float], ...]:
    """The moments and spans that `text` names, in seconds; a moment is a span without length.

    >>> named_times("She smiles at 1.8 s and laughs from 2.0 to 3.5 s.")
    ((1.8, 1.8), (2.0, 3.5))
    """
    found = [match for match in _TIMES.finditer(text) if match["first"] is not None]
    return tuple((float(match["first"]), float(match["last"] or match["first"])) for match in found)
