"""Answers about a clip go through utterances that there are, in order of time."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_places import BEGINS_SPAN, count_spans, ended_sentences, span_reached
from microemo.inference.answer_rules import AnswerRule, NextTokens, tokens_matching
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

MOST_UTTERANCES = 2  # an answer about a clip stays short: each utterance has one of its own
_FROM = " From"


class UtterancesNamed(AnswerRule):
    """A reason about a clip begins with an utterance's span, and each span in it is that of a later utterance.

    It names MOST_UTTERANCES at most.

    Args:
        spans: for each row, start and end of the utterances in seconds on the answer's clock; none for a row whose
            answer is about a single utterance.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, spans: Sequence[Sequence[tuple[float, float]]]) -> None:
        super().__init__(tokenizer)
        self.spans, self.begins_from = spans, tokens_matching(tokenizer, BEGINS_SPAN)

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """At the beginning and behind a sentence's "From" how a span goes on; no "From" when none is left."""
        _, begun, reason = answer.partition(REASON_MARK)
        if not (begun and self.spans[row]) or reason.count(QUOTE) % 2:
            return NextTokens()
        written = reason[len(ended_sentences(reason)) :]
        last = span_reached(reason)[0]
        later = [(start, end) for start, end in self.spans[row] if round(start, 1) > last]
        named = count_spans(reason)
        left = [f"{_FROM} {start:.1f} to {end:.1f} s:" for start, end in later if named < MOST_UTTERANCES]
        if reason and not written.startswith(_FROM):
            return NextTokens(banned=() if left else self.begins_from)
        return self._going_on(*left, written=written) or NextTokens()
