"""What a clip may come from - path, URL, bytes, open file, arrays - brought down to one local file."""

from __future__ import annotations

import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

DOWNLOAD_TIMEOUT_SECONDS = 30.0  # without a byte
COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class VideoArray:
    """Frames that are already in memory, with their true times.

    frames: (N, H, W, 3) uint8 RGB. times: (N,) seconds, increasing. waveform: (S,) float32 mono in [-1, 1] that begins
    at 0 s, or None.
    """

    frames: np.ndarray
    times: np.ndarray
    waveform: np.ndarray | None = None
    sampling_rate: int = 16_000
    name: str = "array"

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(f"frames must be (N, H, W, 3) uint8, got {self.frames.shape} {self.frames.dtype}")
        if len(self.frames) == 0:
            raise ValueError("frames must hold at least one frame")
        if np.shape(self.times) != (len(self.frames),):
            raise ValueError(f"times must have shape ({len(self.frames)},), got {np.shape(self.times)}")
        if not np.all(np.isfinite(self.times)) or np.any(np.diff(self.times) <= 0) or self.times[0] < 0:
            raise ValueError("times must be finite, >= 0 and increase")
        if self.waveform is not None and np.ndim(self.waveform) != 1:
            raise ValueError(f"waveform must be mono, shape (S,), got {np.shape(self.waveform)}")
        if self.sampling_rate < 1:
            raise ValueError(f"sampling_rate must be >= 1, got {self.sampling_rate}")


MediaSource: TypeAlias = "str | Path | bytes | bytearray | BinaryIO | VideoArray"


def is_url(source: object) -> bool:
    """True for http and https addresses."""
    return isinstance(source, str) and urllib.parse.urlsplit(source).scheme in ("http", "https")


def source_name(source: MediaSource) -> str:
    """How reports call the source: its path or URL, "bytes", or a name of its own."""
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, (bytes, bytearray)):
        return "bytes"
    return str(getattr(source, "name", type(source).__name__))


@contextmanager
def local_file(source: str | Path | bytes | bytearray | BinaryIO) -> Iterator[Path]:
    """The source as a non-empty file; what had to be written for it is removed afterwards.

    An open file is read from where it stands.
    """
    if isinstance(source, (str, Path)) and not is_url(source):
        yield _checked(Path(source).expanduser())
        return
    if not (is_url(source) or isinstance(source, (bytes, bytearray)) or hasattr(source, "read")):
        raise ValueError(f"source must be a path, URL, bytes, open file or VideoArray, got {type(source).__name__}")
    with tempfile.TemporaryDirectory(prefix="microemo-") as folder:
        path = Path(folder) / "media"
        with path.open("wb") as file:
            if isinstance(source, str):
                _download(source, file)
            elif isinstance(source, (bytes, bytearray)):
                file.write(source)
            elif not isinstance(source, Path):
                shutil.copyfileobj(source, file, COPY_BYTES)
        yield _checked(path, name=source_name(source))


def _checked(path: Path, *, name: str | None = None) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_dir():
        raise ValueError(f"source {path} is a folder; name a file in it")
    if not path.is_file():
        raise ValueError(f"source must be a file, got {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{name or path} is empty (0 bytes)")
    return path


def _download(url: str, file: BinaryIO) -> None:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            expected = response.headers.get("Content-Length")
            shutil.copyfileobj(response, file, COPY_BYTES)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise OSError(f"{url} could not be downloaded: {error}") from error
    if expected is not None and file.tell() < int(expected):
        raise OSError(f"the download of {url} ended after {file.tell()} of {expected} bytes")
