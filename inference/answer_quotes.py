"""Written answers quote what was said and nothing else: what keeps a language model from inventing words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_places import lies_in, span_reached
from microemo.inference.answer_rules import AnswerRule, NextTokens, text_of
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK, quotation

AFTER_QUOTE = ("", ".", ",")  # what tokens join to a closing mark


class Said(NamedTuple):
    """The words of an utterance, and when they were said, in seconds on the answer's clock."""

    text: str
    start_seconds: float
    end_seconds: float


class QuotesSaid(AnswerRule):
    """Between quotation marks only the first words of an utterance may stand; without words nothing may be quoted.

    Of several utterances, an answer quotes the one that it has come to. A quotation that holds characters which no
    token of the vocabulary writes alone ends before them.

    Args:
        said: for each row, what its answer may quote.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, said: Sequence[Sequence[Said]]) -> None:
        super().__init__(tokenizer)
        self.said = [tuple(one for one in spoken if one.text.strip()) for spoken in said]
        self.tokens_of, self.marked, self.mixed = _pieces(tokenizer)

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """Within a quotation, only how it goes on; outside, no token that would begin one with words of its own."""
        *closed, last = answer.split(QUOTE)
        if len(closed) % 2:
            return NextTokens(only=list(self._continuations(last, answer=answer, row=row)) or self.tokens_of[QUOTE])
        return NextTokens(banned=self.mixed if self.said[row] else self.marked)

    def _continuations(self, begun: str, *, answer: str, row: int) -> Iterator[int]:
        """The tokens by which a quotation that has begun so goes on, up to its closing mark."""
        span = span_reached(answer.partition(REASON_MARK)[2])
        reached = [one for one in self.said[row] if lies_in(span, start=one.start_seconds, end=one.end_seconds)]
        for one in reached or self.said[row]:
            whole = quotation(one.text) + QUOTE
            if whole.startswith(begun):
                rest = whole[len(begun) :]
                for end in range(1, len(rest)):
                    yield from self.tokens_of.get(rest[:end], ())
                for after in AFTER_QUOTE:
                    yield from self.tokens_of.get(rest + after, ())


@lru_cache(maxsize=2)
def _pieces(tokenizer: PreTrainedTokenizerBase) -> tuple[dict[str, list[int]], list[int], list[int]]:
    """The tokens of each text, those with a quotation mark, and those that have more than a mark and spaces."""
    # Behind another token, as some tokenizers drop the space at a text's beginning.
    before = tokenizer.encode(QUOTE, add_special_tokens=False)[-1]
    length, special = len(text_of(tokenizer, [before])), set(tokenizer.all_special_ids)
    tokens_of: dict[str, list[int]] = {}
    for token in set(range(len(tokenizer))) - special:
        tokens_of.setdefault(text_of(tokenizer, [before, token])[length:], []).append(token)
    marked = {token: piece for piece, tokens in tokens_of.items() if QUOTE in piece for token in tokens}
    return tokens_of, list(marked), [token for token, piece in marked.items() if piece.strip() != QUOTE]
