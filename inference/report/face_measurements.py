"""What landmarks tell of one person's face, as a report holds it: action units, head pose and gaze at every crop.

F crops. Where a face was not measured the report says None, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.inference.report.report import ActionUnitCurve
from microemo.processing.face_readings import FaceReadings
from microemo.processing.facial_actions import ACTION_NAMES, FACIAL_ACTIONS, relative_to_rest, unit_intensities

# The digits that are more than noise: two measurements of a face at rest differ by more.
INTENSITY_DIGITS = 2
DEGREE_DIGITS = 1


def joined_readings(parts: Sequence[tuple[np.ndarray, FaceReadings | None]]) -> FaceReadings | None:
    """One person's readings of all chunks by time, a shared crop once; None where nothing was measured.

    Args:
        parts: of each chunk, the times (F,) of the crops and what was measured at them.
    """
    if all(readings is None for _, readings in parts):
        return None
    known = [_nothing(len(times)) if readings is None else readings for times, readings in parts]
    _, first = np.unique(np.concatenate([times for times, _ in parts]), return_index=True)
    rows, mask = np.concatenate([each.rows() for each in known]), np.concatenate([each.mask for each in known])
    return FaceReadings.from_rows(rows[first], mask[first])


def action_unit_curves(readings: FaceReadings, times: np.ndarray) -> tuple[ActionUnitCurve, ...]:
    """Each unit's intensity in [0, 1] above the face's own rest over the whole video; at `times` (F,) seconds."""
    raised = relative_to_rest(readings.actions, times, mask=readings.mask)
    columns = unit_intensities(raised).clip(0, 1).astype(np.float64).round(INTENSITY_DIGITS).T.tolist()
    return tuple(
        ActionUnitCurve(unit.label, unit.name, tuple(_where(column, readings.mask)))
        for unit, column in zip(FACIAL_ACTIONS, columns, strict=True)
    )


def measured_degrees(angles: np.ndarray, *, mask: np.ndarray) -> tuple[tuple[float, ...] | None, ...]:
    """The rows of `angles` (F, D) degrees, None where `mask` (F,) is False."""
    rows = angles.astype(np.float64).round(DEGREE_DIGITS).tolist()
    return tuple(_where([tuple(row) for row in rows], mask))


def _where(values: Sequence, mask: np.ndarray) -> list:
    return [value if is_known else None for value, is_known in zip(values, mask.tolist(), strict=True)]


def _nothing(count: int) -> FaceReadings:
    """Of crops that were not measured."""
    return FaceReadings.from_rows(np.zeros((count, len(ACTION_NAMES) + 5), np.float32), np.zeros(count, bool))
