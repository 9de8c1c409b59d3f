"""Wrinkles of action units as changes of brightness.

A warp of the mesh does not show the furrows between the brows (AU4) and on the root of the nose (AU9), as the points
hardly move there. The wrinkles are soft; sharper ones and those of other regions (forehead, eye corners) look painted
and overlap with hair and glasses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microemo.data.action_units import UNIT_INDEX
from microemo.synthesis.face.face_mesh import FaceFrame
from microemo.synthesis.face.facial_motion import NUM_MOVEMENTS

DEPTH = 0.09  # darkening in the middle of a fold at full intensity
RIDGE_SHARE = 0.25  # brightening beside the fold, relative to the darkening


@dataclass(frozen=True)
class Fold:
    """A fold on the left side of the picture, mirrored to the right, or across the midline.

    path: (x, y) mm from the centre between the eyes, y down, x outward. width: standard deviation in mm.
    """

    path: tuple[tuple[float, float], ...]
    width: float
    strength: float = 1.0


FOLDS: dict[int, tuple[Fold, ...]] = {
    4: (Fold(((6.0, -13), (6.5, -20), (5.5, -25)), 2.2), Fold(((0, -9), (4, -10)), 2.0, 0.5)),
    9: (Fold(((0, 0), (6, 2)), 1.8, 0.9), Fold(((0, 5), (7, 8)), 1.8, 0.8), Fold(((13, 36), (18, 44)), 2.4, 0.6)),
}

FOLDING_UNITS = [UNIT_INDEX[unit] for unit in FOLDS]


def fold_maps(shape: tuple[int, int], *, frame: FaceFrame) -> np.ndarray:
    """Relative brightness changes (n, 2, h, w) float16 by each unit of `FOLDS`, for the left and right side."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    mm = frame.to_mm(np.stack([x, y], axis=-1).astype(np.float64))
    maps = [[_fold_map(mm, folds=folds, side=side) for side in (-1, 1)] for folds in FOLDS.values()]
    return np.array(maps, np.float16)


def _fold_map(mm: np.ndarray, *, folds: tuple[Fold, ...], side: int) -> np.ndarray:
    """Relative brightness change (h, w) by the folds of one side."""
    change = np.zeros(mm.shape[:2])
    for fold in folds:
        path = np.array(fold.path, np.float64) * [side, 1]
        distance = np.min([_distance(mm, start, end) for start, end in zip(path[:-1], path[1:], strict=True)], axis=0)
        line = np.exp(-0.5 * (distance / fold.width) ** 2)
        ridge = np.exp(-0.5 * ((distance - 2.6 * fold.width) / (1.2 * fold.width)) ** 2)
        change += DEPTH * fold.strength * (RIDGE_SHARE * ridge - line)
    return change


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances (h, w) of points (h, w, 2) from a segment."""
    along = end - start
    position = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - position[..., None] * along, axis=-1)


def shade(person: np.ndarray, *, movements: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Applies the folds of a frame's movements (21, 2) to the person layer (h, w, 4) uint8."""
    if movements.shape != (NUM_MOVEMENTS, 2):
        raise ValueError(f"movements must have shape {(NUM_MOVEMENTS, 2)}, got {movements.shape}")
    strengths = movements[FOLDING_UNITS]  # (n, 2)
    active = np.argwhere(strengths > 0.02)
    if len(active) == 0:
        return person
    gain = np.ones(person.shape[:2], np.float32)
    for unit, side in active.tolist():
        gain += np.float32(strengths[unit, side]) * maps[unit, side]
    shaded = person.copy()
    shaded[..., :3] = np.clip(person[..., :3] * gain[..., None], 0, 255)
    return shaded
