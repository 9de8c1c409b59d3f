"""Answers about a clip without a face say so and describe none, whatever the language model has learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_rules import AnswerRule, NextTokens, text_of
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

NO_FACE = ("No", "face")  # "No face is seen.", as training's answers begin
# A word that begins so speaks of a face. Some that do not ("lipid") are left unsaid as well.
_FACE_WORD = re.compile(
    r"\W*(?:face|facial|expression|micro|brow|eyebrow|eye|lid|lids|cheek|nose|mouth|lip|chin|jaw|smil|frown|grin)",
    re.IGNORECASE,
)


class NoFaceSeen(AnswerRule):
    """For clips without a face: the reason begins with "No face", and outside of quotations names no part of one."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(tokenizer)
        self.face_tokens = _face_tokens(tokenizer)

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """The beginning of a reason, word by word, then everything that does not begin a word of a face."""
        if answer.count(QUOTE) % 2:
            return NextTokens()
        _, begun, reason = answer.partition(REASON_MARK)
        forced = self._forced(part=len(reason.split())) if begun else None
        return NextTokens(banned=self.face_tokens) if forced is None else NextTokens(only=[forced])

    def _forced(self, *, part: int) -> int | None:
        """The token that a reason goes on with while it has to begin with "No face"; None afterwards."""
        if part >= len(NO_FACE):
            return None
        tokens = self.tokenizer.encode(f" {NO_FACE[part]}", add_special_tokens=False)
        return tokens[0] if len(tokens) == 1 else None


@lru_cache(maxsize=2)
def _face_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens with which a word of a face begins."""
    return [token for token in range(len(tokenizer)) if _FACE_WORD.match(text_of(tokenizer, [token]))]
