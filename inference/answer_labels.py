"""Written answers name each emotion once, as a set does: what keeps greedy decoding from turning in a circle."""

from __future__ import annotations

from collections.abc import Sequence

from microemo.inference.answer_rules import AnswerRule, NextTokens, text_of
from microemo.processing.emotion_parsing import LABELS_MARK, LABELS_SEPARATOR


class LabelsOnce(AnswerRule):
    """Within the line "Emotions: ..." no label may begin as an earlier one began; the rest is left alone.

    Tokenizers that give a label's space a token of its own are left alone as well, since all labels begin alike with
    them.
    """

    def next_tokens(self, answer: str, *, tokens: Sequence[int], row: int) -> NextTokens:
        """Bans the first tokens of the labels so far, where the next token begins a label."""
        in_line = answer.startswith(LABELS_MARK) and "\n" not in answer
        if not in_line or not answer.endswith((LABELS_SEPARATOR, LABELS_MARK)):
            return NextTokens()
        pieces = [text_of(self.tokenizer, [token]) for token in tokens]
        ends = [index for index, piece in enumerate(pieces[:-1]) if piece.strip() in (LABELS_SEPARATOR, ":")]
        return NextTokens(banned=[tokens[index + 1] for index in ends if pieces[index + 1].strip()])
