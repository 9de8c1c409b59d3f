"""The lasting expression of each utterance, as the face readout finds it and says it to the language model."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from microemo.configuration_microemo import NEUTRAL
from microemo.face_readout import FaceTimeline
from microemo.inference.answer_lasting import Lasting
from microemo.outputs import MicroEmoFaceOutput
from microemo.processing.emotion_parsing import EXPRESSION_NOUNS

FEWEST_SECONDS = 0.2  # of an expression within an utterance; of less, its times would read the same

# Means over an utterance, of an expression that moves over its time in it: on 220 clips of people never trained on 51
# of 68 wrong ones are left out so, and 15 of 214 right ones. Of one that a face looks like, the last two:
# with so much it is held, as a mouth that talks looks surprised with less; with less it is said to be at rest.
SEEN_PROBABILITY = 0.5
HELD_PROBABILITY = 0.8
REST_PROBABILITY = 0.5


def lasting_expressions(
    moving: MicroEmoFaceOutput,
    *,
    shown: MicroEmoFaceOutput,
    face_times: torch.Tensor,
    utterance_times: torch.Tensor,
    id2label: Mapping[int, str],
) -> tuple[Lasting | None, ...]:
    """For each of U utterances the expression that fills most of it, or that there is none; None where that is not
    sure, or no face is seen.

    One that is seen to come has its times. Without one, an expression that the face has all the time is held.

    Args:
        moving, shown: logits of F crops of one clip, in the order of time: of the expressions that move, and of those
            that the face shows.
        face_times: (1, F) seconds. utterance_times: (1, U, 2) seconds.
        id2label: the names of the expressions.
    """
    neutral = next((number for number, name in id2label.items() if name == NEUTRAL), None)
    start, end = utterance_times.unsqueeze(-1).unbind(2)  # (1, U, 1)
    membership = (face_times.unsqueeze(1) >= start) & (face_times.unsqueeze(1) <= end)
    timeline = FaceTimeline(moving, neutral=neutral, seen=torch.ones_like(face_times, dtype=torch.bool))
    found = timeline.lasting(face_times, membership)
    times = zip(*(column[0].tolist() for column in (*found.times, *utterance_times.unbind(2))), strict=True)
    foremost = found.shares.argmax(-1)
    sureness = _mean_height(timeline, foremost, membership=membership & _between(face_times, *found.times))
    moved = zip((found.present & (sureness >= SEEN_PROBABILITY))[0].tolist(), foremost[0].tolist(), strict=True)
    looks = _looks(shown, membership=membership, neutral=neutral)
    is_seen = membership.any(-1)[0].tolist()

    lasting: list[Lasting | None] = []
    for crops, (is_found, number), (look, height), span in zip(is_seen, moved, looks, times, strict=True):
        onset, offset, start, end = span
        if is_found and min(offset, end) - max(onset, start) >= FEWEST_SECONDS:
            lasting.append(Lasting(_noun(id2label[number]), onset, offset, start, end))
        elif height >= HELD_PROBABILITY:
            lasting.append(Lasting(_noun(id2label[look]), onset, offset, start, end, is_held=True))
        else:
            is_rest = crops and height < REST_PROBABILITY
            lasting.append(Lasting(None, start, end, start, end) if is_rest else None)
    return tuple(lasting)


def _noun(label: str) -> str:
    return EXPRESSION_NOUNS.get(label, label)


def _between(times: torch.Tensor, onset: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """(1, U, F) bool, which of the times (1, F) lie between onset and offset (1, U)."""
    return (times.unsqueeze(1) >= onset.unsqueeze(-1)) & (times.unsqueeze(1) <= offset.unsqueeze(-1))


def _mean_height(timeline: FaceTimeline, expression: torch.Tensor, *, membership: torch.Tensor) -> torch.Tensor:
    """(1, U) the mean probability of one expression (1, U) each over its crops (1, U, F); 0 without any."""
    own = timeline.expressions[0].mT[expression[0]].unsqueeze(0)  # (1, U, F)
    return (own * membership).sum(-1) / membership.sum(-1).clamp(min=1)


def _looks(shown: MicroEmoFaceOutput, *, membership: torch.Tensor, neutral: int | None) -> list[tuple[int, float]]:
    """For each utterance the expression, other than none, that the face looks like most, and its mean probability.

    Without crops that is 0.
    """
    assert shown.expression_logits is not None
    probabilities = shown.expression_logits.float().softmax(-1)
    if neutral is not None:
        probabilities[..., neutral] = 0.0
    inside = membership.to(probabilities.dtype)
    heights, numbers = (inside @ probabilities / inside.sum(-1, keepdim=True).clamp(min=1.0))[0].max(-1)
    return list(zip(numbers.tolist(), heights.tolist(), strict=True))
