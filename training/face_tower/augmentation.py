"""Augmentation of aligned face photographs towards face crops of real video."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class FaceAugmentation:
    """Ranges of the augmentations. A probability of 0 or a range of one value disables one."""

    # Alignment jitter
    rotation_degrees: float = 10.0
    scale_range: tuple[float, float] = (0.9, 1.12)
    shift: float = 0.05  # fraction of the side length

    # Light and camera
    gamma_range: tuple[float, float] = (0.7, 1.5)
    contrast_range: tuple[float, float] = (0.7, 1.3)
    brightness: float = 20.0  # grey levels
    side_light: float = 0.35  # largest relative change from the centre to the edge

    # Small faces, compression, noise
    degrade_probability: float = 0.4
    smallest_size: int = 36  # pixels, before the crop is resized back
    jpeg_quality_range: tuple[int, int] = (25, 90)
    noise: float = 8.0  # grey levels, largest standard deviation

    # Occlusion by hands, microphones, hair
    erase_probability: float = 0.3
    erase_range: tuple[float, float] = (0.1, 0.35)  # fraction of the side length

    # Crops are black beyond the edge of a photograph; video frames usually continue there.
    fill_probability: float = 0.5

    def __post_init__(self) -> None:
        for name in ("degrade_probability", "erase_probability", "fill_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("scale_range", "gamma_range", "contrast_range", "jpeg_quality_range", "erase_range"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must satisfy 0 < low <= high, got {(low, high)}")


def augment_face(
    crop: np.ndarray, *, inside: np.ndarray, settings: FaceAugmentation, generator: np.random.Generator
) -> np.ndarray:
    """Returns a randomly augmented crop of the same shape and dtype.

    Args:
        crop: (h, w) uint8 grey.
        inside: (h, w) bool, False beyond the edge of the photograph.
        settings: ranges of the augmentations.
        generator: the only source of randomness.
    """
    if crop.ndim != 2 or crop.dtype != np.uint8:
        raise ValueError(f"crop must be (h, w) uint8, got {crop.shape} {crop.dtype}")
    if inside.shape != crop.shape:
        raise ValueError(f"inside must have the crop's shape {crop.shape}, got {inside.shape}")
    if generator.random() < 0.5:
        crop, inside = crop[:, ::-1], inside[:, ::-1]
    crop, inside = _shift_turn_scale(crop, inside, settings=settings, generator=generator)
    levels = _relight(crop.astype(np.float32), settings=settings, generator=generator)
    fill = generator.uniform(0, 255) if generator.random() < settings.fill_probability else 0.0
    levels = np.where(inside, levels, fill)
    if generator.random() < settings.degrade_probability:
        levels = _degrade(levels, settings=settings, generator=generator)
    if generator.random() < settings.erase_probability:
        _erase(levels, settings=settings, generator=generator)
    return _to_grey_levels(levels)


def _to_grey_levels(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _shift_turn_scale(
    crop: np.ndarray, inside: np.ndarray, *, settings: FaceAugmentation, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    height, width = crop.shape
    angle = generator.uniform(-settings.rotation_degrees, settings.rotation_degrees)
    scale = generator.uniform(*settings.scale_range)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    moves = generator.uniform(-settings.shift, settings.shift, size=2) * np.array([width, height])
    matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + moves])
    moved = cv2.warpAffine(np.ascontiguousarray(crop), matrix, (width, height), flags=cv2.INTER_LINEAR)
    moved_inside = cv2.warpAffine(inside.astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
    return moved, moved_inside.astype(bool)


def _relight(levels: np.ndarray, *, settings: FaceAugmentation, generator: np.random.Generator) -> np.ndarray:
    """Random gamma, contrast, brightness and side light."""
    height, width = levels.shape
    levels = 255 * (levels / 255) ** generator.uniform(*settings.gamma_range)
    mean = levels.mean()
    levels = (levels - mean) * generator.uniform(*settings.contrast_range) + mean
    levels = levels + generator.uniform(-settings.brightness, settings.brightness)
    direction = generator.uniform(0, 2 * np.pi)
    strength = generator.uniform(0, settings.side_light)
    across = np.linspace(-1, 1, width)[None] * np.cos(direction) + np.linspace(-1, 1, height)[:, None] * np.sin(
        direction
    )
    return np.clip(levels * (1 + strength * across), 0, 255).astype(np.float32)


def _degrade(levels: np.ndarray, *, settings: FaceAugmentation, generator: np.random.Generator) -> np.ndarray:
    """Downscales and upscales, adds noise, compresses as JPEG."""
    height, width = levels.shape
    small_side = int(generator.integers(min(settings.smallest_size, width), width + 1))
    small = cv2.resize(levels, (small_side, max(1, small_side * height // width)), interpolation=cv2.INTER_AREA)
    levels = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    levels = levels + generator.normal(0, generator.uniform(0, settings.noise), size=levels.shape)
    low, high = settings.jpeg_quality_range
    quality = int(generator.integers(low, high + 1))
    _, encoded = cv2.imencode(".jpg", _to_grey_levels(levels), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.float32)


def _erase(levels: np.ndarray, *, settings: FaceAugmentation, generator: np.random.Generator) -> None:
    """Fills a random rectangle with one grey level, in place."""
    height, width = levels.shape
    rows, columns = (max(1, round(generator.uniform(*settings.erase_range) * side)) for side in (height, width))
    top, left = int(generator.integers(0, height - rows + 1)), int(generator.integers(0, width - columns + 1))
    levels[top : top + rows, left : left + columns] = generator.uniform(0, 255)
