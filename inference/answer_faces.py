"""Answers speak of a face where one is seen and only there, whatever the language model has learned."""

from __future__ import annotations

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from microemo.inference.answer_rules import AnswerRule, NextTokens, tokens_matching
from microemo.processing.emotion_parsing import QUOTE, REASON_MARK

_OPENING = " No face"  # "No face is seen.", as training's answers begin
# A word that begins so speaks of a face. Some that do not ("lipid") are left unsaid as well.
_FACE_WORD = re.compile(
    r"\W*(?:face|facial|expression|micro|brow|eyebrow|eye|lid|lids|cheek|nose|mouth|lip|chin|jaw|smil|frown|grin)",
    re.IGNORECASE,
)
_FACE = re.compile(r"\W*face", re.IGNORECASE)


class FacesSeen(AnswerRule):
    """Without a face a reason begins with "No face" and names no part of one; with a face it does not begin so.

    What is quoted may speak of faces.

    Args:
        seen: for each row, whether what its question is about has a face.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, seen: Sequence[bool]) -> None:
        super().__init__(tokenizer)
        self.seen = seen
        self.face_words, self.face = (tokens_matching(tokenizer, pattern) for pattern in (_FACE_WORD, _FACE))

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """The beginning of a reason, word by word, then everything that does not begin a word of a face."""
        if answer.count(QUOTE) % 2:
            return NextTokens()
        _, begun, reason = answer.partition(REASON_MARK)
        if self.seen[row]:
            return NextTokens(banned=self.face if reason.strip() == _OPENING.split()[0] else ())
        opening = self._going_on(_OPENING, written=reason) if begun else None
        return opening or NextTokens(banned=self.face_words)
