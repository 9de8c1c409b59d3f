"""Batches of examples that are about equally long, in an order as random as that of others.

A batch is as wide as its longest prompt: a spoken word among explanations costs what they cost. transformers' own
`group_by_length` walks from the long to the short ones in every fifty batches, so that what is learned last is always
of one kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from microemo.data.example import NO_QUESTION, Example

BATCHES_SORTED_TOGETHER = 50  # of random examples: as in transformers' `LengthGroupedSampler`
TOKENS_A_WORD = 1.4
TOKENS_A_SEGMENT = 24  # its streams' tokens and the words around them


class LengthSampler(Sampler[int]):
    """Places in a table, `batch_size` at a time of like length.

    Args:
        lengths: of the table's rows, in any unit.
        seed: the same seed and epoch give the same order.
    """

    def __init__(self, lengths: Sequence[float], *, batch_size: int, seed: int = 0) -> None:
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Another order; accelerate's loaders call it."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        places = torch.randperm(len(self.lengths), generator=generator).tolist()
        together = BATCHES_SORTED_TOGETHER * self.batch_size
        batches = [
            batch
            for start in range(0, len(places), together)
            for batch in self._batches(
                sorted(places[start : start + together], key=lambda place: -self.lengths[place])
            )
        ]
        rest = (
            [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        )  # or it would shift the others
        for number in torch.randperm(len(batches), generator=generator).tolist():
            yield from batches[number]
        for batch in rest:
            yield from batch

    def _batches(self, places: Sequence[int]) -> Iterator[Sequence[int]]:
        for start in range(0, len(places), self.batch_size):
            yield places[start : start + self.batch_size]


def rough_tokens(example: Example) -> float:
    """About how many tokens the prompt of an example has with its answer, without reading its files."""
    words = sum(len(utterance.text.split()) for utterance in example.utterances)
    if example.turn is not None:
        words += len(example.turn.question.split()) + len(example.turn.answer.split())
    elif example.question_index != NO_QUESTION:
        index = example.question_index or 0
        targets = example.targets if index == 0 else example.utterances[index - 1].targets
        words += len(targets.description.split())
    streams = (example.video is not None) + (example.video is not None or example.audio is not None)
    return TOKENS_A_WORD * words + TOKENS_A_SEGMENT * (streams + 1) * (1 + len(example.utterances))
