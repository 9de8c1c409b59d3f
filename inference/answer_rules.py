"""Rules of what a generated answer may say next, by what it says already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase


class NextTokens(NamedTuple):
    """Tokens that may not come next; where `only` is given, tokens that alone may."""

    banned: Sequence[int] = ()
    only: Sequence[int] | None = None


class AnswerRule(LogitsProcessor):
    """For one call of `generate`: what stands there at its first step is the prompt, what follows the answers.

    Of several rules the first ones win: where a rule would leave nothing that they allow, it is not applied.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.prompt_length: int | None = None

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """What may follow the answer so far, which is written in these tokens, of this row of the batch."""
        raise NotImplementedError

    def _going_on(self, *openings: str, written: str) -> NextTokens | None:
        """How one of the openings goes on behind what is written of it; None where none of them is half written."""
        rests = [opening[len(written) :] for opening in openings if opening.startswith(written) and opening != written]
        if not rests:
            return None
        return NextTokens(only=[self.tokenizer.encode(rest, add_special_tokens=False)[0] for rest in rests])

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """scores: (N, V) of the next token after input_ids (N, L)."""
        if self.prompt_length is None:
            self.prompt_length = input_ids.shape[1]
        bounded = scores.clone()
        for row, tokens in enumerate(input_ids[:, self.prompt_length :].tolist()):
            following = self.next_tokens(_answer_text(self.tokenizer, tuple(tokens)), tokens=tokens, row=row)
            if following.only is not None and scores[row, following.only].isfinite().any():
                bounded[row] = -torch.inf
                bounded[row, following.only] = scores[row, following.only]
            bounded[row, following.banned] = -torch.inf
        return bounded  # type: ignore[return-value]  # a clone is no FloatTensor to the type checker


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """The text of tokens, special ones included."""
    return str(tokenizer.decode(list(tokens)))


@lru_cache(maxsize=64)
def _answer_text(tokenizer: PreTrainedTokenizerBase, tokens: tuple[int, ...]) -> str:
    """Every rule reads the same answers at each step."""
    return text_of(tokenizer, tokens)


@lru_cache(maxsize=8)
def tokens_matching(tokenizer: PreTrainedTokenizerBase, pattern: re.Pattern[str]) -> list[int]:
    """The tokens of the vocabulary whose text, from its beginning, the pattern matches."""
    return [token for token in range(len(tokenizer)) if pattern.match(text_of(tokenizer, [token]))]
