"""A folder of numbered pictures as a video: how corpora of micro-expressions come, at 100 or 200 frames a second."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]
try:
    from PIL import Image
except ImportError:
    Image = None  # type: ignore[assignment]

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
NUMBERS_NAMED = 5  # in a warning
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class FrameFolder:
    """Pictures of one folder in natural order ("img2.jpg" before "img10.jpg"), `fps` of them a second.

    The last number in a file's name says when it was taken, so a missing picture leaves its time empty.

    Raises `FileNotFoundError` where there is no such folder, `ValueError` for a rate that is none.
    """

    path: Path | str
    fps: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path).expanduser())
        if not Path(self.path).is_dir():
            raise FileNotFoundError(f"no such folder of frames: {self.path}")
        if isinstance(self.fps, bool) or not math.isfinite(self.fps) or self.fps <= 0:
            raise ValueError(f"fps must be > 0 and finite, got {self.fps}")

    @property
    def name(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class FrameFiles:
    """The pictures of a folder with their times in seconds, (N,) increasing, and what is odd about their numbers."""

    files: tuple[Path, ...]
    times: np.ndarray
    warnings: tuple[str, ...]


def find_frames(folder: FrameFolder) -> FrameFiles:
    """Raises `ValueError` for a folder without pictures."""
    paths = [each for each in Path(folder.path).iterdir() if each.suffix.lower() in PICTURE_ENDINGS]
    files = tuple(
        sorted((each for each in paths if not each.name.startswith(".")), key=lambda each: natural_key(each))
    )
    if not files:
        raise ValueError(f"{folder.path} holds no pictures; allowed are {', '.join(PICTURE_ENDINGS)}")
    steps, warnings = _steps([frame_number(each) for each in files])
    return FrameFiles(files, steps / folder.fps, warnings)


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sorts names with the numbers in them by value."""
    parts = DIGITS.split(path.stem.lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def frame_number(path: Path) -> int | None:
    """The last number in a file's name."""
    digits = DIGITS.findall(path.stem)
    return int(digits[-1]) if digits else None


def _steps(numbers: list[int | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N,) how many frames after the first each one comes, and what was odd."""
    in_order = np.arange(len(numbers))
    if len(numbers) < 2:
        return in_order, ()
    known = np.array([number for number in numbers if number is not None], dtype=np.int64)
    if len(known) < len(numbers) or np.any(np.diff(known) <= 0):
        return in_order, ("the frames' names hold no rising numbers: they are taken in order, without gaps",)
    step = int(np.diff(known).min())
    steps = (known - known[0]) // step
    warnings = () if step == 1 else (f"the frames are numbered in steps of {step}: they are taken as neighbours",)
    missing = np.setdiff1d(np.arange(steps[-1] + 1), steps)
    if len(missing) > len(numbers):
        return in_order, ("the frames' numbers do not count frames: they are taken in order, without gaps",)
    if len(missing):
        named = ", ".join(str(int(known[0]) + int(each) * step) for each in missing[:NUMBERS_NAMED])
        more = ", ..." if len(missing) > NUMBERS_NAMED else ""
        total = int(steps[-1]) + 1
        warnings = (*warnings, f"{len(missing)} of {total} frames are missing ({named}{more}): their time stays empty")
    return steps, warnings


class PictureDecoder:
    """Pictures out of files."""

    name = "pictures"
    notes: tuple[str, ...] = ()

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files

    def decode(self, places: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (place, picture (height, width, 3)); what cannot be decoded is left out."""
        for place in places.tolist():
            try:
                picture = read_picture(self.files[place])
            except (OSError, SyntaxError, ValueError):  # Pillow's for damaged files
                continue
            yield place, scaled(picture, height=height, width=width)

    def close(self) -> None:
        """Nothing is held open."""


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    if Image is None:
        raise ImportError("reading pictures needs Pillow: pip install pillow")
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def scaled(picture: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """The picture at another size."""
    if picture.shape[:2] == (height, width):
        return picture
    if cv2 is None:
        raise ImportError("scaling frames needs OpenCV: pip install opencv-python")
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
