"""Which expression a micro-expression shows: the one that comes with it and goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from microemo.configuration_microemo import NEUTRAL
from microemo.face_readout import BESIDE_FLOOR, BESIDE_SECONDS
from microemo.inference.report import MicroExpression

NEAR_SECONDS = 0.07  # around a moment; the flow of a single crop trembles


def with_expressions(
    events: Sequence[MicroExpression],
    *,
    times: np.ndarray,
    moving: np.ndarray,
    labels: Sequence[str],
) -> tuple[MicroExpression, ...]:
    """The events of one face, each with the expression whose probability rises most, as a ratio, at its apex.

    What a face shows longer, before and after, is not what the brief movement is of, however strong it is. The
    emotion head is told the same (`FaceTimeline.risen`).

    Args:
        times: (F,) seconds, increasing.
        moving: (F, X) probabilities of the expressions that move.
        labels: the X names; the neutral one is never given.
    """
    if moving.shape != (len(times), len(labels)):
        raise ValueError(f"moving must have shape {(len(times), len(labels))}, got {moving.shape}")
    is_one = np.array([label != NEUTRAL for label in labels])

    def height(seconds: float) -> np.ndarray:
        near = np.abs(times - seconds) <= NEAR_SECONDS
        near[np.argmin(np.abs(times - seconds))] = True
        return moving[near].mean(0) + BESIDE_FLOOR

    def expression(event: MicroExpression) -> str:
        before, behind = (height(event.apex_seconds + way * BESIDE_SECONDS) for way in (-1, 1))
        rise = height(event.apex_seconds) / ((before + behind) / 2)
        return labels[int(np.where(is_one, rise, 0.0).argmax())]

    return tuple(replace(event, expression=expression(event)) for event in events)
