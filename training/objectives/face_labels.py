"""Labels of the face head at the times of the crops. Shapes: F crops, A action units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microemo.data.example import FaceEvent, FaceTimeline

UNKNOWN = -100
NEUTRAL = "neutral"
# Below this fraction of its apex intensity an expression cannot be distinguished from neutral.
MIN_LABELLED_STRENGTH = 0.35


def event_strength(event: FaceEvent, times: np.ndarray) -> np.ndarray:
    """Strength (F,) in 0..1 of an event at times (F,) in seconds: linear from onset to apex and apex to offset.

        1       /\\
        0 _____/  \\______
            onset  offset
    """
    curve = np.interp(times, [event.onset_seconds, event.apex_seconds, event.offset_seconds], [0.0, 1.0, 0.0])
    return np.where((times >= event.onset_seconds) & (times <= event.offset_seconds), curve, 0.0)


def micro_labels(timeline: FaceTimeline | None, *, times: np.ndarray) -> np.ndarray:
    """Labels (F,) float32: 1 from onset to offset of a micro-expression, else 0; all -100 without a timeline."""
    if timeline is None:
        return np.full(len(times), UNKNOWN, np.float32)
    labels = np.zeros(len(times), np.float32)
    for event in timeline.events:
        if event.kind == "micro":
            labels[(times >= event.onset_seconds) & (times <= event.offset_seconds)] = 1.0
    return labels


def expression_labels(timeline: FaceTimeline | None, *, times: np.ndarray, label_ids: Mapping[str, int]) -> np.ndarray:
    """Classes (F,) int64 of the strongest expression at each time, "neutral" where there is none.

    -100 where the strongest expression is below `MIN_LABELLED_STRENGTH` or not among the head's classes.
    """
    if timeline is None:
        return np.full(len(times), UNKNOWN, np.int64)
    labels = np.full(len(times), label_ids.get(NEUTRAL, UNKNOWN), np.int64)
    strongest = np.zeros(len(times))
    for event in timeline.events:
        curve = event_strength(event, times)
        label = label_ids.get(event.emotion, UNKNOWN)
        dominant = curve * event.intensity > strongest
        labels[dominant] = np.where(curve[dominant] > MIN_LABELLED_STRENGTH, label, UNKNOWN)
        strongest = np.maximum(strongest, curve * event.intensity)
    return labels


def action_unit_labels(timeline: FaceTimeline | None, *, times: np.ndarray, unit_names: Sequence[str]) -> np.ndarray:
    """Intensities (F, A) float32 in 0..1, interpolated linearly between measurements.

    Units and times that were not measured are -100.

    Args:
        unit_names: action units of the head, one for each column.
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
