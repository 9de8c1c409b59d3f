"""Which expression a micro-expression shows: the one that comes with it and goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from microemo.configuration_microemo import NEUTRAL
from microemo.inference.report import MicroExpression

BESIDE_SECONDS = 0.2  # before the onset and after the offset the face is as it is without
NEAR_SECONDS = 0.07  # around a moment; the flow of a single crop trembles
FLOOR = 0.01  # added to probabilities: a rise from nearly nothing to nearly nothing is none


def with_expressions(
    events: Sequence[MicroExpression],
    *,
    times: np.ndarray,
    moving: np.ndarray,
    shown: np.ndarray,
    labels: Sequence[str],
) -> tuple[MicroExpression, ...]:
    """The events of one face, each with the expression whose probabilities rise most, as ratios, at its apex.

    What a face shows longer, before and after, is not what the brief movement is of, however strong it is.

    Args:
        times: (F,) seconds, increasing.
        moving, shown: (F, X) probabilities of the expressions that move, and of those that the face shows.
        labels: the X names; the neutral one is never given.
    """
    for name, values in (("moving", moving), ("shown", shown)):
        if values.shape != (len(times), len(labels)):
            raise ValueError(f"{name} must have shape {(len(times), len(labels))}, got {values.shape}")
    is_one = np.array([label != NEUTRAL for label in labels])

    def height(seconds: float) -> np.ndarray:
        near = np.abs(times - seconds) <= NEAR_SECONDS
        near[np.argmin(np.abs(times - seconds))] = True
        return np.stack((moving[near].mean(0), shown[near].mean(0))) + FLOOR

    def expression(event: MicroExpression) -> str:
        beside = (height(event.onset_seconds - BESIDE_SECONDS) + height(event.offset_seconds + BESIDE_SECONDS)) / 2
        rise = (height(event.apex_seconds) / beside).prod(0)
        return labels[int(np.where(is_one, rise, 0.0).argmax())]

    return tuple(replace(event, expression=expression(event)) for event in events)
