"""Answers tell of the lasting expression that the face head found in an utterance, from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_places import behind_span, lies_in, span_reached
from microemo.inference.answer_rules import AnswerRule, NextTokens
from microemo.processing.emotion_parsing import REASON_MARK


class Lasting(NamedTuple):
    """A lasting expression of an utterance, and the utterance's span. Seconds on the answer's clock.

    noun: None where the face is seen and none lasts. is_held: the face looks so all the time, and nobody saw it begin.
    """

    noun: str | None
    onset_seconds: float
    offset_seconds: float
    start_seconds: float
    end_seconds: float
    is_held: bool = False


class LastingTold(AnswerRule):
    """What is said of an utterance begins with the expression that lasts in it, as it was found; of an expression
    that goes on outside, with that part of it. What moves in it, the language model says. Where none lasts, it begins
    with that: left to itself the language model makes one up.

    Args:
        lasting: for each row, what was found in its utterances, at most one in each.
        of_clip: for each row, whether its answer names the utterances that it speaks of.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        lasting: Sequence[Sequence[Lasting]],
        of_clip: Sequence[bool],
    ) -> None:
        super().__init__(tokenizer)
        self.lasting, self.of_clip = lasting, of_clip

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """The beginning of the sentence, up to what moves."""
        _, begun, reason = answer.partition(REASON_MARK)
        found = self._reached(reason, row=row) if begun else None
        if found is None:
            return NextTokens()
        return self._going_on(_opening(found), written=behind_span(reason)) or NextTokens()

    def _reached(self, reason: str, *, row: int) -> Lasting | None:
        """What was found in the utterance that the reason has come to."""
        span, found = span_reached(reason), self.lasting[row]
        if self.of_clip[row] and behind_span(reason) == reason:
            return None
        inside = (one for one in found if lies_in(span, start=one.start_seconds, end=one.end_seconds))
        return next(inside, None)


def _opening(found: Lasting) -> str:
    if found.noun is None:
        return " The face stays at rest."
    if found.is_held:
        return f" The face shows {found.noun} throughout:"
    onset = max(found.onset_seconds, found.start_seconds)
    offset = min(found.offset_seconds, found.end_seconds)
    return f" The face shows {found.noun} between {onset:.1f} and {offset:.1f} s:"
