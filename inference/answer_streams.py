"""Answers tell of a voice where there is sound, and of words where something was said."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_rules import AnswerRule, NextTokens, tokens_matching
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

# The words that speak of a stream, and those with which this package's own sentences about it begin: one that has
# begun could not be ended without them. "It fits what is said and heard." needs both.
_WORDS_OF = {
    "voice": re.compile(r"\W*(?:voice|sound|heard|tone|pitch|[Ff]its\b)|\s*In$"),
    "words": re.compile(r"\W*(?:word|said|says|spoken|[Ff]its\b)|\s*(?:What|By)$|.*['\u2018\u2019]"),
}


class StreamsHeard(AnswerRule):
    """Outside of quotations a reason says nothing of what a row's clip does not have.

    Args:
        missing: for each row, which of "voice" and "words" are not there.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, missing: Sequence[Collection[str]]) -> None:
        super().__init__(tokenizer)
        tokens_of = {stream: tokens_matching(tokenizer, pattern) for stream, pattern in _WORDS_OF.items()}
        self.banned = [sorted({token for stream in streams for token in tokens_of[stream]}) for streams in missing]

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """Everything but the words of what is missing."""
        if REASON_MARK not in answer or answer.count(QUOTE) % 2:
            return NextTokens()
        return NextTokens(banned=self.banned[row])
