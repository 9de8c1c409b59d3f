"""A folder of numbered images as a video, the format of micro-expression data sets at 100 or 200 fps."""

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

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MAX_NAMED_NUMBERS = 5  # in a warning
DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class FrameFolder:
    """Images of one folder in natural order ("img2.jpg" before "img10.jpg"), at `fps` frames per second.

    The last number in a file's name is its frame number, so a missing image leaves a gap.

    Raises `FileNotFoundError` if the folder does not exist, `ValueError` for an invalid rate.
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
    """The images of a folder with their times in seconds, (N,) increasing, and warnings about their numbers."""

    files: tuple[Path, ...]
    times: np.ndarray
    warnings: tuple[str, ...]


def find_frames(folder: FrameFolder) -> FrameFiles:
    """Lists the images of a folder; raises `ValueError` if there are none."""
    paths = [each for each in Path(folder.path).iterdir() if each.suffix.lower() in IMAGE_SUFFIXES]
    files = tuple(
        sorted((each for each in paths if not each.name.startswith(".")), key=lambda each: natural_key(each))
    )
    if not files:
        raise ValueError(f"{folder.path} contains no images; allowed are {', '.join(IMAGE_SUFFIXES)}")
    steps, warnings = _steps([frame_number(each) for each in files])
    return FrameFiles(files, steps / folder.fps, warnings)


def natural_key(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that compares the numbers in a name by value."""
    parts = DIGITS.split(path.stem.lower())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def frame_number(path: Path) -> int | None:
    """The last number in a file's name."""
    digits = DIGITS.findall(path.stem)
    return int(digits[-1]) if digits else None


def _steps(numbers: list[int | None]) -> tuple[np.ndarray, tuple[str, ...]]:
    """(N,) frame numbers relative to the first one, and warnings."""
    in_order = np.arange(len(numbers))
    if len(numbers) < 2:
        return in_order, ()
    frame_numbers = np.array([number for number in numbers if number is not None], dtype=np.int64)
    if len(frame_numbers) < len(numbers) or np.any(np.diff(frame_numbers) <= 0):
        return in_order, ("the frames' names have no increasing numbers: they are read in order, without gaps",)
    step = int(np.diff(frame_numbers).min())
    steps = (frame_numbers - frame_numbers[0]) // step
    warnings = (
        () if step == 1 else (f"the frames are numbered in steps of {step}: they are read as consecutive frames",)
    )
    missing = np.setdiff1d(np.arange(steps[-1] + 1), steps)
    if len(missing) > len(numbers):
        return in_order, ("the frames' numbers do not count frames: they are read in order, without gaps",)
    if len(missing):
        named = ", ".join(str(int(frame_numbers[0]) + int(each) * step) for each in missing[:MAX_NAMED_NUMBERS])
        more = ", ..." if len(missing) > MAX_NAMED_NUMBERS else ""
        total = int(steps[-1]) + 1
        warnings = (*warnings, f"{len(missing)} of {total} frames are missing ({named}{more}): gaps are left for them")
    return steps, warnings


class PictureDecoder:
    """Decodes frames from image files."""

    name = "pictures"
    notes: tuple[str, ...] = ()

    def __init__(self, files: tuple[Path, ...]) -> None:
        self.files = files

    def decode(self, indices: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (index, frame (height, width, 3)); files that cannot be decoded are left out."""
        for index in indices.tolist():
            try:
                picture = read_picture(self.files[index])
            except (OSError, SyntaxError, ValueError):  # raised by Pillow for damaged files
                continue
            yield index, scaled(picture, height=height, width=width)

    def close(self) -> None:
        """Does nothing; no file is kept open."""


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
