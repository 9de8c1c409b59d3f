"""Answers tell of the micro-expressions that were found, at their times, even where the language model would not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_places import NEAR_SECONDS, ended_sentences, lies_in, span_reached
from microemo.inference.answer_rules import AnswerRule, NextTokens
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

_TOLD = re.compile(r"\bat (\d+\.\d) s\b", re.IGNORECASE)


class Moment(NamedTuple):
    """The apex of a micro-expression in seconds on the answer's clock, and what it is of, where that is known."""

    apex_seconds: float
    noun: str | None = None


class MomentsTold(AnswerRule):
    """Behind the first sentence of a reason, one tells of each micro-expression that is not told yet: "A flash of fear
    crosses the face at 1.8 s", or "At 1.8 s", where it is not known what it is of.

    What moves in it, the language model says. An answer about several utterances tells of those of the utterance that
    it has come to.

    Args:
        moments: for each row, in order of time.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, moments: Sequence[Sequence[Moment]]) -> None:
        super().__init__(tokenizer)
        self.moments = moments

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """The beginning of a sentence about the next moment, where one has ended or this one has begun."""
        _, begun, reason = answer.partition(REASON_MARK)
        if not (begun and self.moments[row]) or reason.count(QUOTE) % 2:
            return NextTokens()
        ended, untold = ended_sentences(reason), self._untold(reason, row=row)
        if not (ended and untold):
            return NextTokens()
        return self._going_on(_opening(untold[0]), written=reason[len(ended) :]) or NextTokens()

    def _untold(self, reason: str, *, row: int) -> list[Moment]:
        """The moments of the utterance in question that the reason does not name."""
        told = [float(match[1]) for match in _TOLD.finditer(reason)]
        span = span_reached(reason)
        return [
            moment
            for moment in self.moments[row]
            if lies_in(span, start=moment.apex_seconds, end=moment.apex_seconds)
            and all(abs(moment.apex_seconds - other) > NEAR_SECONDS for other in told)
        ]


def _opening(moment: Moment) -> str:
    if moment.noun is None:
        return f" At {moment.apex_seconds:.1f} s"
    return f" A flash of {moment.noun} crosses the face at {moment.apex_seconds:.1f} s"
