"""Which camera set-up a frame belongs to: tiny grey thumbnails, compared from one detection frame to the next.

Dialogue is cut from shot to reverse shot. A new view means that a face at the same place may be another person's; a
view that comes back brings its people back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]

VIEW_SIZE = (32, 18)  # px, width and height of the thumbnails that are compared to find shot changes
VIEW_SHIFT = 2  # thumbnail px by which a panning camera may move between two detections
SHOT_CHANGE = 25.0  # grey levels of mean difference from one detection frame to the next; people moving give 2-10
SAME_VIEW = 14.0  # grey levels of mean difference to an end of an earlier shot: the same camera again

MAX_VIEWS = 100  # how many earlier views are compared with a new one


@dataclass
class _View:
    """One camera set-up: its first and last thumbnail and for how long it has been on screen."""

    first_thumbnail: np.ndarray
    thumbnail: np.ndarray
    seconds: float = 0.0

    def difference(self, thumbnail: np.ndarray) -> float:
        """To the nearer end: a shot that is cut away from and repeated may go on or begin again."""
        return min(view_difference(each, thumbnail) for each in (self.first_thumbnail, self.thumbnail))


class ViewHistory:
    """The views seen so far; `current` is the number of the one on screen."""

    def __init__(self) -> None:
        self.views: list[_View] = []
        self.current = -1

    @property
    def thumbnail(self) -> np.ndarray:
        """The last one of the current view."""
        return self.views[self.current].thumbnail

    @property
    def seconds(self) -> float:
        """How long the current view has been on screen, all its returns together."""
        return self.views[self.current].seconds

    def enter(self, thumbnail: np.ndarray, *, seconds: float) -> bool:
        """Takes the next frame, `seconds` after the one before; True when another view is on screen than before."""
        if self.views and view_difference(self.thumbnail, thumbnail) < SHOT_CHANGE:
            self.views[self.current].thumbnail = thumbnail
            self.views[self.current].seconds += seconds
            return False
        first = max(0, len(self.views) - MAX_VIEWS)
        differences = [view.difference(thumbnail) for view in self.views[first:]]
        if differences and min(differences) < SAME_VIEW:
            self.current = first + int(np.argmin(differences))
            self.views[self.current].thumbnail = thumbnail
        else:
            self.views.append(_View(thumbnail, thumbnail))
            self.current = len(self.views) - 1
        return True


def view_thumbnail(frame: np.ndarray) -> np.ndarray:
    """(18, 32) float32 grey levels of a frame (H, W, 3): enough to tell one camera view from another."""
    return cv2.resize(frame, VIEW_SIZE, interpolation=cv2.INTER_AREA).mean(axis=-1, dtype=np.float32)


def view_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference of two thumbnails in grey levels, at the small shift that suits best (a camera pans)."""
    reach = VIEW_SHIFT
    height, width = first.shape
    inner = first[reach : height - reach, reach : width - reach]
    shifted = np.lib.stride_tricks.sliding_window_view(second, inner.shape)  # (shifts down, across, *inner)
    return float(np.abs(shifted - inner).mean(axis=(2, 3)).min())
