"""Answers tell of a voice where there is sound and of words where something was said, each once, and then end."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_places import BEGINS_SPAN, behind_span, ended_sentences
from microemo.inference.answer_rules import AnswerRule, NextTokens, tokens_matching
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

# The words that speak of a stream, and those with which this package's own sentences about it begin: one that has
# begun could not be ended without them. "It fits what is said and heard." needs both.
_WORDS_OF = {
    "voice": re.compile(r"\W*(?:voice|sound|heard|tone|pitch|[Ff]its\b)|\s*In$"),
    "words": re.compile(r"\W*(?:word|said|says|spoken|[Ff]its\b)|\s*(?:What|By)$|.*['\u2018\u2019]"),
}
_TOLD = {"voice": re.compile(r"\bvoice\b"), "words": re.compile(QUOTE)}


class StreamsTold(AnswerRule):
    """Outside of quotations nothing is said of a stream that is not there, or that was told of in this utterance.

    When there is none left to tell of, the answer ends, or goes on to the next utterance.

    Args:
        missing: for each row, which of "voice" and "words" are not there.
        of_clip: for each row, whether its answer names the utterances that it speaks of.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, *, missing: Sequence[Collection[str]], of_clip: Sequence[bool]
    ) -> None:
        super().__init__(tokenizer)
        self.missing, self.of_clip = missing, of_clip
        self.tokens_of = {stream: tokens_matching(tokenizer, pattern) for stream, pattern in _WORDS_OF.items()}
        self.end, self.next_utterance = [tokenizer.eos_token_id], tokens_matching(tokenizer, BEGINS_SPAN)

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """Everything but the words of what is missing or told; behind a sentence that leaves nothing, the end."""
        _, begun, reason = answer.partition(REASON_MARK)
        if not begun or reason.count(QUOTE) % 2:
            return NextTokens()
        ended = ended_sentences(behind_span(reason))
        silent = {*self.missing[row], *(stream for stream, pattern in _TOLD.items() if pattern.search(ended))}
        if silent >= _WORDS_OF.keys() and ended and behind_span(reason).endswith(ended):
            return NextTokens(only=[*self.end, *(self.next_utterance if self.of_clip[row] else ())])
        return NextTokens(banned=[token for stream in sorted(silent) for token in self.tokens_of[stream]])
