"""What is true of a face at the moments of its crops: targets of the face head. F crops, A action units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microemo.data.example import FaceEvent, FaceTimeline

UNKNOWN = -100
NEUTRAL = "neutral"
# Strength of an event, as a part of its apex, up to which its expression is too weak to be told from a still face.
FAINT = 0.35


def event_strength(event: FaceEvent, times: np.ndarray) -> np.ndarray:
    """(F,) strength in 0..1 of an event at times (F,) seconds: straight up to the apex, straight down again.

        1       /\\
        0 _____/  \\______
            onset  offset
    """
    curve = np.interp(times, [event.onset_seconds, event.apex_seconds, event.offset_seconds], [0.0, 1.0, 0.0])
    return np.where((times >= event.onset_seconds) & (times <= event.offset_seconds), curve, 0.0)


def micro_labels(timeline: FaceTimeline | None, *, times: np.ndarray) -> np.ndarray:
    """(F,) float32: 1 from onset to offset of a micro-expression, 0 elsewhere; unknown without a timeline."""
    if timeline is None:
        return np.full(len(times), UNKNOWN, np.float32)
    labels = np.zeros(len(times), np.float32)
    for event in timeline.events:
        if event.kind == "micro":
            labels[(times >= event.onset_seconds) & (times <= event.offset_seconds)] = 1.0
    return labels


def expression_labels(timeline: FaceTimeline | None, *, times: np.ndarray, label_ids: Mapping[str, int]) -> np.ndarray:
    """(F,) int64 class of the strongest expression at each moment, "neutral" where there is none.

    Unknown where the strongest is faint, or of a class that the head does not have.
    """
    if timeline is None:
        return np.full(len(times), UNKNOWN, np.int64)
    labels = np.full(len(times), label_ids.get(NEUTRAL, UNKNOWN), np.int64)
    strongest = np.zeros(len(times))
    for event in timeline.events:
        curve = event_strength(event, times)
        label = label_ids.get(event.emotion, UNKNOWN)
        wins = curve * event.intensity > strongest
        labels[wins] = np.where(curve[wins] > FAINT, label, UNKNOWN)
        strongest = np.maximum(strongest, curve * event.intensity)
    return labels


def action_unit_labels(timeline: FaceTimeline | None, *, times: np.ndarray, unit_names: Sequence[str]) -> np.ndarray:
    """(F, A) float32 intensities in 0..1, straight between the measured moments; unknown units and times are -100.

    Args:
        unit_names: of the head, which say what the columns are.
    """
    labels = np.full((len(times), len(unit_names)), UNKNOWN, np.float32)
    if timeline is None or len(timeline.unit_times) == 0:
        return labels
    measured = (times >= timeline.unit_times[0]) & (times <= timeline.unit_times[-1])
    for column, name in enumerate(unit_names):
        if name in timeline.unit_names:
            values = timeline.unit_values[:, timeline.unit_names.index(name)]
            labels[measured, column] = np.interp(times[measured], timeline.unit_times, values)
    return labels
