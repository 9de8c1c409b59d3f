"""What a generated explanation says, moved to the video's clock and taken apart into evidence."""

from __future__ import annotations

import re

from microemo.inference.report import Evidence

# "1.8 s", "1.8-2.4 s": the form in which prompts and answers write times.
_TIMES = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:\s?-\s?(\d+(?:\.\d+)?))? s\b")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")


def shift_times(text: str, *, seconds: float) -> str:
    """`text` with every time in it `seconds` later: the model counts from its window's start, readers from the clip's.

    >>> shift_times("She smiles at 1.8 s.", seconds=60.0)
    'She smiles at 61.8 s.'
    """
    if seconds == 0:
        return text
    return _TIMES.sub(lambda match: _later(match, seconds), text)


def explanation_evidence(description: str) -> tuple[Evidence, ...]:
    """Each sentence of a description that names a time, at that time."""
    evidence = []
    for sentence in _SENTENCE_END.split(description.strip()):
        match = _TIMES.search(sentence)
        if match:
            evidence.append(Evidence("explanation", float(match[1]), sentence))
    return tuple(evidence)


def _later(match: re.Match[str], seconds: float) -> str:
    numbers = [f"{float(number) + seconds:.1f}" for number in match.groups() if number is not None]
    return f"{'-'.join(numbers)} s"
