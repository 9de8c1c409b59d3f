"""The lasting expression of each utterance, as the face readout finds it and says it to the language model."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from microemo.configuration_microemo import NEUTRAL
from microemo.face_readout import FaceTimeline
from microemo.inference.answer_lasting import Lasting
from microemo.outputs import MicroEmoFaceOutput
from microemo.processing.emotion_parsing import EXPRESSION_NOUNS


def lasting_expressions(
    logits: MicroEmoFaceOutput,
    *,
    face_times: torch.Tensor,
    utterance_times: torch.Tensor,
    id2label: Mapping[int, str],
) -> tuple[Lasting | None, ...]:
    """For each of U utterances the expression that fills most of it; None where there is none.

    Args:
        logits: of F crops of one clip, in the order of time.
        face_times: (1, F) seconds. utterance_times: (1, U, 2) seconds.
        id2label: the names of the expressions.
    """
    start, end = utterance_times.unsqueeze(-1).unbind(2)  # (1, U, 1)
    membership = (face_times.unsqueeze(1) >= start) & (face_times.unsqueeze(1) <= end)
    neutral = next((number for number, name in id2label.items() if name == NEUTRAL), None)
    timeline = FaceTimeline(logits, neutral=neutral, seen=torch.ones_like(face_times, dtype=torch.bool))
    found = timeline.lasting(face_times, membership)
    nouns = [
        EXPRESSION_NOUNS.get(id2label[number], id2label[number]) for number in found.shares[0].argmax(-1).tolist()
    ]
    times = zip(*(column[0].tolist() for column in (*found.times, *utterance_times.unbind(2))), strict=True)
    rows = zip(found.present[0].tolist(), nouns, times, strict=True)
    return tuple(Lasting(noun, *spans) if present else None for present, noun, spans in rows)
