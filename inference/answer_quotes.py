"""Written answers quote what was said and nothing else: what keeps a language model from inventing words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from microemo.processing.emotion_parsing import QUOTE, quotation

AFTER_QUOTE = ("", ".", ",")  # what tokens join to a closing mark


class QuotesSaid(LogitsProcessor):
    """Between quotation marks only the first words of an utterance may stand; without words nothing may be quoted.

    For one call of `generate`: what stands there at its first step is the prompt. A quotation that holds characters
    which no token of the vocabulary writes alone ends before them.

    Args:
        said: for each row, the texts that its answer may quote.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, said: Sequence[Sequence[str]]) -> None:
        self.tokenizer = tokenizer
        self.quotations = [tuple(quotation(text) + QUOTE for text in texts if text.strip()) for texts in said]
        self.tokens_of, self.marked, self.mixed = _pieces(tokenizer)
        self.prompt_length: int | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """scores: (N, V) of the next token after input_ids (N, L)."""
        if self.prompt_length is None:
            self.prompt_length = input_ids.shape[1]
        bounded = scores.clone()
        for row, tokens in enumerate(input_ids[:, self.prompt_length :].tolist()):
            *closed, last = self.tokenizer.decode(tokens).split(QUOTE)
            if len(closed) % 2:
                allowed = list(self._continuations(last, quotations=self.quotations[row])) or self.tokens_of[QUOTE]
                bounded[row] = -torch.inf
                bounded[row, allowed] = scores[row, allowed]
            else:
                bounded[row, self.mixed if self.quotations[row] else self.marked] = -torch.inf
        return bounded  # type: ignore[return-value]  # a clone is no FloatTensor to the type checker

    def _continuations(self, begun: str, *, quotations: Sequence[str]) -> Iterator[int]:
        """The tokens by which a quotation that has begun so goes on, up to its closing mark."""
        for whole in quotations:
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
    length, special = len(tokenizer.decode([before])), set(tokenizer.all_special_ids)
    tokens_of: dict[str, list[int]] = {}
    for token in set(range(len(tokenizer))) - special:
        tokens_of.setdefault(tokenizer.decode([before, token])[length:], []).append(token)
    marked = {token: piece for piece, tokens in tokens_of.items() if QUOTE in piece for token in tokens}
    return tokens_of, list(marked), [token for token, piece in marked.items() if piece.strip() != QUOTE]
