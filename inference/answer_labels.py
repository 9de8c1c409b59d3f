"""Written answers name each emotion once, as a set does: what keeps greedy decoding from turning in a circle."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from microemo.processing.emotion_parsing import LABELS_MARK, LABELS_SEPARATOR


class LabelsOnce(LogitsProcessor):
    """Within the line "Emotions: ..." no label may begin as an earlier one began; the rest is left alone.

    For one call of `generate`: what stands there at its first step is the prompt. Tokenizers that give a label's
    space a token of its own are left alone as well, since all labels begin alike with them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.prompt_length: int | None = None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """scores: (N, V) of the next token after input_ids (N, L)."""
        if self.prompt_length is None:
            self.prompt_length = input_ids.shape[1]
        banned = scores.clone()
        for row, tokens in enumerate(input_ids[:, self.prompt_length :].tolist()):
            banned[row, self._used_beginnings(tokens)] = -torch.inf
        return banned  # type: ignore[return-value]  # a clone is no FloatTensor to the type checker

    def _used_beginnings(self, tokens: list[int]) -> list[int]:
        """The first tokens of the labels so far, where the next token begins a label; none elsewhere."""
        line = self.tokenizer.decode(tokens)
        if not line.startswith(LABELS_MARK) or "\n" in line or not line.endswith((LABELS_SEPARATOR, LABELS_MARK)):
            return []
        pieces = [self.tokenizer.decode([token]) for token in tokens]
        ends = [index for index, piece in enumerate(pieces[:-1]) if piece.strip() in (LABELS_SEPARATOR, ":")]
        return [tokens[index + 1] for index in ends if pieces[index + 1].strip()]
