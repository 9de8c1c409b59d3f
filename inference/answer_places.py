"""Where a growing answer stands: which utterance it has come to, by the span that it named last, and its sentences."""

from __future__ import annotations

import re

NEAR_SECONDS = 0.15  # times of answers are rounded to tenths
BEGINS_SPAN = re.compile(r"\s*From$")  # the token with which a span begins
_SENTENCE_END = re.compile(r"(?<!\d)[.!?](?=\s|$)")  # of no number
_QUOTED = re.compile(r'"[^"]*"')
_SPAN = re.compile(r"\bFrom (\d+\.\d) to (\d+\.\d) s:")


def span_reached(reason: str) -> tuple[float, float]:
    """Start and end in seconds on the answer's clock; without bounds where no span is named."""
    spans = _SPAN.findall(reason)
    return (float(spans[-1][0]), float(spans[-1][1])) if spans else (float("-inf"), float("inf"))


def count_spans(reason: str) -> int:
    """How many spans are named."""
    return len(_SPAN.findall(reason))


def behind_span(reason: str) -> str:
    """What stands behind the span that was named last; all where none is."""
    return _SPAN.split(reason)[-1]


def lies_in(span: tuple[float, float], *, start: float, end: float) -> bool:
    """Whether what lasts from `start` to `end` lies within the span, as far as tenths tell."""
    return span[0] - NEAR_SECONDS <= start and end <= span[1] + NEAR_SECONDS


def ended_sentences(text: str) -> str:
    """The text up to the end of its last complete sentence, for which ends within quotations do not count."""
    unquoted = _QUOTED.sub(lambda match: '"' + "_" * (len(match.group()) - 2) + '"', text)
    ends = [match.end() for match in _SENTENCE_END.finditer(unquoted)]
    return text[: ends[-1]] if ends else ""
