"""Written answers about a clip without a face say so, and describe none: a language model may have learned otherwise."""

from __future__ import annotations

import re
from functools import lru_cache

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

NO_FACE = ("No", "face")  # "No face is seen.", as training's answers begin
# A word that begins so speaks of a face. Some that do not ("lipid") are left unsaid as well.
_FACE_WORD = re.compile(
    r"\W*(?:face|facial|expression|micro|brow|eyebrow|eye|lid|lids|cheek|nose|mouth|lip|chin|jaw|smil|frown|grin)",
    re.IGNORECASE,
)


class NoFaceSeen(LogitsProcessor):
    """For clips without a face: the reason begins with "No face", and outside of quotations no part of one is named.

    For one call of `generate`: what stands there at its first step is the prompt.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.face_tokens = _face_tokens(tokenizer)
        self.prompt_length: int | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """scores: (N, V) of the next token after input_ids (N, L)."""
        if self.prompt_length is None:
            self.prompt_length = input_ids.shape[1]
        bounded = scores.clone()
        for row, tokens in enumerate(input_ids[:, self.prompt_length :].tolist()):
            text = self.tokenizer.decode(tokens)
            if text.count(QUOTE) % 2:
                continue
            said = text.partition(REASON_MARK)[2] if REASON_MARK in text else None
            forced = self._next(said, part=len(said.split())) if said is not None else None
            if forced is None:
                bounded[row, self.face_tokens] = -torch.inf
            else:
                bounded[row] = -torch.inf
                bounded[row, forced] = scores[row, forced]
        return bounded  # type: ignore[return-value]  # a clone is no FloatTensor to the type checker

    def _next(self, said: str, *, part: int) -> int | None:
        """The token that a reason goes on with while it has to begin with "No face"; None afterwards."""
        if part >= len(NO_FACE):
            return None
        tokens = self.tokenizer.encode(f" {NO_FACE[part]}", add_special_tokens=False)
        return tokens[0] if len(tokens) == 1 else None


@lru_cache(maxsize=2)
def _face_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens with which a word of a face begins."""
    return [token for token in range(len(tokenizer)) if _FACE_WORD.match(tokenizer.decode([token]))]
