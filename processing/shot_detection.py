"""Detects shot changes by comparing thumbnails of consecutive frames.

Dialogue alternates between shot and reverse shot. After a shot change, a face at the same position may belong to
another person. When an earlier shot returns, so do its people; the history therefore recognises returning shots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

THUMBNAIL_SIZE = (32, 18)  # px, width and height
MAX_SHIFT = 2  # thumbnail px by which the camera may pan between two detections
SHOT_THRESHOLD = 25.0  # mean grey-level difference of consecutive detection frames; moving people give 2-10
SAME_SHOT_THRESHOLD = 14.0  # mean grey-level difference to either end of an earlier shot

MAX_SHOTS = 100  # earlier shots that a new one is compared with


@dataclass
class _Shot:
    """One camera set-up: its first and last thumbnail, and its time on screen."""

    first_thumbnail: np.ndarray
    thumbnail: np.ndarray
    seconds: float = 0.0

    def difference(self, thumbnail: np.ndarray) -> float:
        """Difference to the nearer end: a repeated shot may continue or start over."""
        return min(thumbnail_difference(each, thumbnail) for each in (self.first_thumbnail, self.thumbnail))


class ShotHistory:
    """All shots so far; `current` is the index of the one on screen."""

    def __init__(self) -> None:
        self.shots: list[_Shot] = []
        self.current = -1

    @property
    def thumbnail(self) -> np.ndarray:
        """Latest thumbnail of the current shot."""
        return self.shots[self.current].thumbnail

    @property
    def seconds(self) -> float:
        """Total time of the current shot on screen, over all its appearances."""
        return self.shots[self.current].seconds

    def enter(self, thumbnail: np.ndarray, *, seconds: float) -> bool:
        """Adds the next frame, `seconds` after the previous one; returns True if the shot changed."""
        if self.shots and thumbnail_difference(self.thumbnail, thumbnail) < SHOT_THRESHOLD:
            self.shots[self.current].thumbnail = thumbnail
            self.shots[self.current].seconds += seconds
            return False
        first = max(0, len(self.shots) - MAX_SHOTS)
        differences = [shot.difference(thumbnail) for shot in self.shots[first:]]
        if differences and min(differences) < SAME_SHOT_THRESHOLD:
            self.current = first + int(np.argmin(differences))
            self.shots[self.current].thumbnail = thumbnail
        else:
            self.shots.append(_Shot(thumbnail, thumbnail))
            self.current = len(self.shots) - 1
        return True


def frame_thumbnail(frame: np.ndarray) -> np.ndarray:
    """(18, 32) float32 grey levels of a frame (H, W, 3), for comparing shots."""
    return cv2.resize(frame, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA).mean(axis=-1, dtype=np.float32)


def thumbnail_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference of two thumbnails in grey levels, at the best small shift (the camera may pan)."""
    shift = MAX_SHIFT
    height, width = first.shape
    inner = first[shift : height - shift, shift : width - shift]
    shifted = np.lib.stride_tricks.sliding_window_view(second, inner.shape)  # (shifts down, across, *inner)
    return float(np.abs(shifted - inner).mean(axis=(2, 3)).min())
