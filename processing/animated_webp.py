"""Decodes animated WebP with Pillow, since FFmpeg reads only the first frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .frame_folder import scaled

try:
    from PIL import Image
except ImportError:
    Image = None  # type: ignore[assignment]

HEAD_BYTES = 12  # "RIFF", length, "WEBP"
CHUNK_HEAD_BYTES = 8
MILLISECONDS = 1000
MIN_MILLISECONDS = 10  # browsers show shorter frames for 100 ms
SHOWN_MILLISECONDS = 100


def is_animated_webp(path: Path) -> bool:
    with path.open("rb") as file:
        return any(kind == b"ANIM" for kind, _ in _chunks(file))


def webp_times(path: Path) -> tuple[np.ndarray, float]:
    """(N,) start of each frame in seconds, and the end of the last one."""
    with path.open("rb") as file:
        # A frame starts with x, y, width, height and duration in milliseconds, three bytes each.
        durations = [int.from_bytes(head[12:15], "little") for kind, head in _chunks(file) if kind == b"ANMF"]
    if not durations:
        raise ValueError(f"{path.name} is an animated WebP without a frame")
    durations_shown = np.where(np.array(durations) <= MIN_MILLISECONDS, SHOWN_MILLISECONDS, durations)
    ends = np.cumsum(durations_shown) / MILLISECONDS
    return np.concatenate([[0.0], ends[:-1]]), float(ends[-1])


def _chunks(file) -> Iterator[tuple[bytes, bytes]]:
    """Yields (name, first bytes) of each chunk of a WebP file; nothing for other files."""
    head = file.read(HEAD_BYTES)
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return
    while len(chunk := file.read(CHUNK_HEAD_BYTES)) == CHUNK_HEAD_BYTES:
        kind, length = struct.unpack("<4sI", chunk)
        content = file.read(min(length, 16))
        file.seek(length + length % 2 - len(content), 1)
        yield kind, content


class WebPDecoder:
    """Decodes frames of an animated WebP in order of time; going back restarts."""

    name = "pillow"
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        if Image is None:
            raise ImportError("reading animated WebP needs Pillow: pip install pillow")
        try:
            self.animation: Any = Image.open(path)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path.name} is not a readable WebP picture: {error}") from error

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.animation.size

    def decode(self, indices: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (index, frame (height, width, 3)); frames that cannot be decoded are left out."""
        for index in indices.tolist():
            try:
                self.animation.seek(index)
                picture = np.asarray(self.animation.convert("RGB"))
            except (OSError, EOFError):
                continue
            yield index, scaled(picture, height=height, width=width)

    def close(self) -> None:
        self.animation.close()
