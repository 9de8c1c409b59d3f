"""Faces as if other people stood in other light: one change of shape and light for all crops of a stretch.

What moves stays where it moves and when; only who shows it is somebody else (as `voice_variants` does for voices).
A few hundred faces are otherwise known by heart.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import torch

from microemo.processing.clip import Clip

MOST = 0.3  # a face half as wide again as it is high is nobody's
LIGHT = 2.0  # of the spread, for gamma and contrast: light differs more than shapes do


def check_face_spread(spread: float) -> None:
    """Raises `ValueError` for a spread that leaves no face."""
    if not 0 <= spread <= MOST:
        raise ValueError(f"face_spread ({spread}) must be in 0..{MOST}")


def other_look(clip: Clip, *, spread: float) -> Clip:
    """The clip with all its face crops stretched, turned, moved and relit alike, drawn by torch's generator.

    Args:
        spread: how far each coefficient of the affine map goes from none, as a part of the crop's side; gamma and
            contrast go `LIGHT` times as far, as a logarithm. 0 leaves the clip as it is.
    """
    if clip.face_crops is None or len(clip.face_crops) == 0 or spread == 0:  # a stretch may lie where no face is seen
        return clip
    drawn = spread * (2 * torch.rand(8, dtype=torch.float64).numpy() - 1)
    crops = np.asarray(clip.face_crops)
    matrix = _about_the_middle(np.eye(2) + drawn[:4].reshape(2, 2), shift=drawn[4:6], shape=crops.shape[1:3])
    levels = _grey_levels(gamma=np.exp(LIGHT * drawn[6]), contrast=np.exp(LIGHT * drawn[7]))
    return replace(clip, face_crops=np.stack([_changed(crop, matrix=matrix, levels=levels) for crop in crops]))


def _about_the_middle(linear: np.ndarray, *, shift: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(2, 3) affine map of pixel places (right, down) that keeps the middle, but for a shift in parts of the side."""
    size = np.array(shape[::-1], dtype=np.float64)
    middle = (size - 1) / 2
    return np.column_stack([linear, middle - linear @ middle + shift * size])


def _grey_levels(*, gamma: float, contrast: float) -> np.ndarray:
    """(256,) uint8: what becomes of each grey level."""
    levels = 255 * (np.arange(256) / 255) ** gamma
    middle = 255 / 2
    return np.clip(np.rint((levels - middle) * contrast + middle), 0, 255).astype(np.uint8)


def _changed(crop: np.ndarray, *, matrix: np.ndarray, levels: np.ndarray) -> np.ndarray:
    size = (crop.shape[1], crop.shape[0])
    moved = cv2.warpAffine(
        np.ascontiguousarray(crop), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.LUT(moved, levels)).reshape(crop.shape)
