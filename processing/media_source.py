"""What a clip may come from - path, URL, bytes, open file, pipe, folder of frames, column of a data set, arrays -
brought down to one local file, a folder or arrays."""

from __future__ import annotations

import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from .frame_folder import FrameFolder
from .waveforms import float_waveform

DOWNLOAD_TIMEOUT_SECONDS = 30.0  # without a byte
LONGEST_DOWNLOAD_SECONDS = 4 * 3600.0  # a server may send a byte now and then for ever
LARGEST_DOWNLOAD_BYTES = 32 << 30  # and without end: a film of two hours has 2 to 20 GB
COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class VideoArray:
    """Frames that are already in memory, with their true times.

    frames: (N, H, W, 3) uint8 RGB. times: (N,) seconds, increasing. waveform: (S,) float32 mono in [-1, 1] that begins
    at 0 s, or None; integers are scaled by their type.
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
        if self.waveform is not None:
            if np.ndim(self.waveform) != 1:
                raise ValueError(f"waveform must be mono, shape (S,), got {np.shape(self.waveform)}")
            object.__setattr__(self, "waveform", float_waveform(self.waveform))
        if self.sampling_rate < 1:
            raise ValueError(f"sampling_rate must be >= 1, got {self.sampling_rate}")


MediaSource: TypeAlias = "str | Path | bytes | bytearray | memoryview | BinaryIO | Mapping | VideoArray | FrameFolder"
PlainSource: TypeAlias = "str | Path | bytes | bytearray | memoryview | BinaryIO | VideoArray | FrameFolder"


def is_url(source: object) -> bool:
    """True for http and https addresses."""
    return isinstance(source, str) and urllib.parse.urlsplit(source).scheme in ("http", "https")


def plain_source(source: Any) -> PlainSource:
    """What stands behind other forms of a source; anything else comes back as it is.

    - `file://` addresses: the path;
    - {"path": ..., "bytes": ...}, as `datasets` stores videos: the bytes, or the path where there are none;
    - torchcodec's `VideoDecoder`, as a decoded Video column gives: what `datasets` made it of, else its frames.
    """
    source = getattr(source, "_hf_encoded", source)
    if isinstance(source, Mapping) and not source.keys().isdisjoint(("path", "bytes")):
        found = source.get("bytes")
        found = source.get("path") if found is None else found
        if found is None:
            raise ValueError('a source {"path", "bytes"} must have one of them, both are None')
        return plain_source(found)
    if isinstance(source, str) and source.lower().startswith("file://"):
        return Path(urllib.request.url2pathname(urllib.parse.urlsplit(source).path))
    if callable(getattr(source, "get_all_frames", None)):
        return _decoded_frames(source)
    return source


def _decoded_frames(decoder: Any) -> VideoArray:
    """The frames (N, C, H, W) or (N, H, W, C) and times of torchcodec's `FrameBatch`."""
    batch = decoder.get_all_frames()
    frames = np.asarray(batch.data)
    if frames.shape[-1] != 3:
        frames = frames.transpose(0, 2, 3, 1)
    return VideoArray(np.ascontiguousarray(frames), np.asarray(batch.pts_seconds, dtype=np.float64), name="decoder")


def source_name(source: MediaSource) -> str:
    """How reports call the source: its path or URL, "bytes", or a name of its own."""
    encoded = getattr(source, "_hf_encoded", source)
    if isinstance(encoded, Mapping):
        return str(encoded.get("path") or "bytes")
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "bytes"
    return str(getattr(source, "name", type(source).__name__))


@contextmanager
def local_file(source: MediaSource) -> Iterator[Path]:
    """The source as a non-empty file; what had to be written for it is removed afterwards.

    An open file is read from where it stands, and a pipe until it ends.
    """
    name, plain = source_name(source), plain_source(source)
    if isinstance(plain, (str, Path)) and not is_url(plain) and not _is_pipe(path := Path(plain).expanduser()):
        yield _checked(path)
        return
    in_memory = isinstance(plain, (bytes, bytearray, memoryview))
    if not (in_memory or isinstance(plain, (str, Path)) or hasattr(plain, "read")):
        raise ValueError(f"source must be a path, URL, bytes, open file or VideoArray, got {type(source).__name__}")
    with tempfile.TemporaryDirectory(prefix="microemo-") as folder:
        path = Path(folder) / "media"
        with path.open("wb") as file:
            if isinstance(plain, str) and is_url(plain):
                _download(plain, file)
            elif isinstance(plain, (str, Path)):
                with Path(plain).expanduser().open("rb") as pipe:
                    shutil.copyfileobj(pipe, file, COPY_BYTES)
            elif isinstance(plain, (bytes, bytearray, memoryview)):
                file.write(plain)
            elif not isinstance(plain, (VideoArray, FrameFolder)):
                shutil.copyfileobj(plain, file, COPY_BYTES)
        yield _checked(path, name=name)


def _is_pipe(path: Path) -> bool:
    """True for a FIFO, such as a shell's `<(command)`, and for other places that can be read once only."""
    return path.is_fifo() or path.is_char_device() or path.is_socket()


def _checked(path: Path, *, name: str | None = None) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if path.is_dir():
        raise ValueError(
            f"source {path} is a folder; name a file in it, or give its pictures as FrameFolder(path, fps=...)"
        )
    if not path.is_file():
        raise ValueError(f"source must be a file, got {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{name or path} is empty (0 bytes)")
    return path


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows an address to http and https alone; urllib would go on to ftp."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not is_url(newurl):
            raise urllib.error.HTTPError(newurl, code, f"redirected to {newurl!r}, no web address", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, file: BinaryIO) -> None:
    opener = urllib.request.build_opener(_WebRedirects)
    try:
        with opener.open(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            expected = response.headers.get("Content-Length")
            _copy_within_limits(response, file, url=url)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise OSError(f"{url} could not be downloaded: {error}") from error
    if expected is not None and file.tell() < int(expected):
        raise OSError(f"the download of {url} ended after {file.tell()} of {expected} bytes")


def _copy_within_limits(response: Any, file: BinaryIO, *, url: str) -> None:
    deadline = time.monotonic() + LONGEST_DOWNLOAD_SECONDS
    while block := response.read1(COPY_BYTES):
        file.write(block)
        if file.tell() > LARGEST_DOWNLOAD_BYTES:
            raise ValueError(f"{url} is larger than {LARGEST_DOWNLOAD_BYTES} bytes, the most that is downloaded")
        if time.monotonic() > deadline:
            raise ValueError(
                f"the download of {url} took more than {LONGEST_DOWNLOAD_SECONDS:.0f} s and was given up after "
                f"{file.tell()} bytes"
            )
