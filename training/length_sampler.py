"""Batches of similar length in random order.

A batch is padded to its longest prompt, so mixed lengths waste computation. transformers' `LengthGroupedSampler`
sorts every fifty batches from long to short, which ties the kind of example to the position in training; here the
batches are shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from microemo.data.example import NO_QUESTION, Example

BATCHES_SORTED_TOGETHER = 50  # as in transformers' `LengthGroupedSampler`
TOKENS_PER_WORD = 1.4
TOKENS_PER_SEGMENT = 24  # soft tokens of a stream and the text around them


class LengthSampler(Sampler[int]):
    """Yields row indices; each run of `batch_size` indices has rows of similar length.

    Args:
        lengths: of the rows, in any unit.
        seed: the same seed and epoch give the same order.
    """

    def __init__(self, lengths: Sequence[float], *, batch_size: int, seed: int = 0) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Changes the order; called by accelerate's data loaders."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        rows = torch.randperm(len(self.lengths), generator=generator).tolist()
        group_size = BATCHES_SORTED_TOGETHER * self.batch_size
        batches = [
            batch
            for start in range(0, len(rows), group_size)
            for batch in self._batches(sorted(rows[start : start + group_size], key=lambda row: -self.lengths[row]))
        ]
        # The incomplete batch comes last, as it would shift the boundaries of the others.
        incomplete = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        for index in torch.randperm(len(batches), generator=generator).tolist():
            yield from batches[index]
        for batch in incomplete:
            yield from batch

    def _batches(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        for start in range(0, len(rows), self.batch_size):
            yield rows[start : start + self.batch_size]


def estimate_tokens(example: Example) -> float:
    """Estimates the number of tokens of an example's prompt and answer without reading its files."""
    words = sum(len(utterance.text.split()) for utterance in example.utterances)
    if example.turn is not None:
        words += len(example.turn.question.split()) + len(example.turn.answer.split())
    elif example.question_index != NO_QUESTION:
        index = example.question_index or 0
        targets = example.targets if index == 0 else example.utterances[index - 1].targets
        words += len(targets.description.split())
    streams = (example.video is not None) + (example.video is not None or example.audio is not None)
    return TOKENS_PER_WORD * words + TOKENS_PER_SEGMENT * (streams + 1) * (1 + len(example.utterances))
