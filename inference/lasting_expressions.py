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
HELD_PROBABILITY = 0.8  # mean over an utterance; a mouth that talks looks surprised or disgusted with less


def lasting_expressions(
    moving: MicroEmoFaceOutput,
    *,
    shown: MicroEmoFaceOutput,
    face_times: torch.Tensor,
    utterance_times: torch.Tensor,
    id2label: Mapping[int, str],
) -> tuple[Lasting | None, ...]:
    """For each of U utterances the expression that fills most of it; None where there is none.

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
    moved = zip(found.present[0].tolist(), found.shares[0].argmax(-1).tolist(), strict=True)
    held = _held(shown, membership=membership, neutral=neutral)

    lasting: list[Lasting | None] = []
    for (is_found, number), still, (onset, offset, start_seconds, end_seconds) in zip(moved, held, times, strict=True):
        is_seen = is_found and min(offset, end_seconds) - max(onset, start_seconds) >= FEWEST_SECONDS
        label = id2label[number if is_seen or still is None else still]
        expression = Lasting(
            EXPRESSION_NOUNS.get(label, label), onset, offset, start_seconds, end_seconds, is_held=not is_seen
        )
        lasting.append(expression if is_seen or still is not None else None)
    return tuple(lasting)


def _held(shown: MicroEmoFaceOutput, *, membership: torch.Tensor, neutral: int | None) -> list[int | None]:
    """For each utterance the expression that the face has all the time, unless it is at rest."""
    assert shown.expression_logits is not None
    probabilities = shown.expression_logits.float().softmax(-1)
    inside = membership.to(probabilities.dtype)
    means = (inside @ probabilities / inside.sum(-1, keepdim=True).clamp(min=1.0))[0]
    height, number = means.max(-1)
    return [
        place if mean >= HELD_PROBABILITY and place != neutral else None
        for mean, place in zip(height.tolist(), number.tolist(), strict=True)
    ]
