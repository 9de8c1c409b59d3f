"""Frames of a video with their true times: through PyAV, through decord where the caller asks, arrays as they are.

PyAV decodes what is asked for and converts only the frames that are wanted. decord gives the same pictures, but for
a few levels where they are resized (see `video_decoders`); it converts each frame on its way and decodes on ahead
until it is stopped, so it takes two to three times as long (`make bench BENCH="--only decode"`). It is right for
containers whose every packet is a displayed, upright frame, as nearly all mp4 and mkv files are. It miscounts with
edit lists, shuffles MPEG transport streams, invents times for AVI, shifts the clock to zero, and may hang on damaged
files: those go to PyAV all the same, with a warning.
The times always come from the container itself (`media_index`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from .animated_webp import WebPDecoder, is_animated_webp
from .frame_folder import FrameFiles, FrameFolder, PictureDecoder, find_frames, read_picture, scaled
from .media_index import MediaIndex, VideoIndex, index_media
from .media_source import MediaSource, VideoArray, local_file, plain_source
from .video_decoders import DecordDecoder, DecordError, PyAVDecoder

BACKENDS = ("decord", "pyav")
BATCH_BYTES = 24 << 20  # of decoded pictures at a time; under 32 MiB, so that malloc keeps and gives them again
DECORD_FORMATS = {b"ftyp": 4, b"\x1a\x45\xdf\xa3": 0}  # mp4 and mov, matroska and webm: mark and where it stands
DECORD_LONGEST_GROUP = 120  # frames from keyframe to keyframe: decord has to start at one again for every batch
SINGLE_FRAME_SECONDS = 0.04  # how long an array's only frame lasts


class VideoReader:
    """Frames by index, in bounded batches. Close it, or use it in a `with` statement.

    times: (N,) float64 seconds on the file's clock, increasing. duration_seconds: when the last frame ends, on the
    same clock. width, height: as displayed: upright, square pixels. backend: "decord", "pyav", "array", "pictures" or
    "pillow". warnings: what is wrong with the file, as far as it has been read.
    """

    def __init__(
        self,
        index: VideoIndex,
        *,
        decoder: DecordDecoder | PyAVDecoder | ArrayDecoder | PictureDecoder | WebPDecoder,
        resources: ExitStack | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.times = index.times
        self.duration_seconds = index.end_seconds
        self.width, self.height = index.width, index.height
        self.warnings = warnings
        self._index, self._decoder = index, decoder
        self._resources = resources or ExitStack()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def backend(self) -> str:
        return self._decoder.name

    def read(
        self, indices: Sequence[int] | np.ndarray, *, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (indices (n,), pictures (n, height, width, 3) uint8 RGB) until all are read.

        Args:
            indices: strictly increasing, in [0, N).
            size: (height, width) to which the whole picture is scaled, whatever its aspect; None keeps the display
                size. `fit_size` makes sizes that keep the aspect.

        A frame that cannot be decoded is left out and counted in `warnings`.
        """
        places = np.asarray(indices, dtype=np.int64)
        if places.ndim != 1 or np.any(np.diff(places) <= 0):
            raise ValueError("indices must be one row of strictly increasing numbers")
        if len(places) and (places[0] < 0 or places[-1] >= len(self)):
            raise ValueError(f"indices must be in [0, {len(self)}), got {places[0]} .. {places[-1]}")
        height, width = size or (self.height, self.width)
        if height < 1 or width < 1:
            raise ValueError(f"size must be positive, got {size}")
        per_batch = max(1, BATCH_BYTES // (height * width * 3))
        lost = 0
        for start in range(0, len(places), per_batch):
            wanted = places[start : start + per_batch]
            read, pictures = self._read_batch(wanted, height=height, width=width)
            lost += len(wanted) - len(read)
            if len(read):
                yield read, pictures
        self.warnings += tuple(note for note in self._decoder.notes if note not in self.warnings)
        if lost:
            self.warnings += (f"{lost} of {len(places)} frames could not be decoded",)

    def _read_batch(self, places: np.ndarray, *, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            found = list(self._decoder.decode(places, height=height, width=width))
        except DecordError as error:
            self.warnings += (f"{error}; continued with PyAV",)
            self._decoder = PyAVDecoder(error.path, index=self._index)
            found = list(self._decoder.decode(places, height=height, width=width))
        pictures = np.empty((len(found), height, width, 3), dtype=np.uint8)
        for target, (_, picture) in zip(pictures, found, strict=True):
            target[:] = picture
        return np.array([place for place, _ in found], dtype=np.int64), pictures

    def close(self) -> None:
        self._decoder.close()
        self._resources.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ArrayDecoder:
    """Frames that are in memory already."""

    name = "array"
    notes: tuple[str, ...] = ()

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def decode(self, places: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        for place in places.tolist():
            yield place, scaled(self.frames[place], height=height, width=width)

    def close(self) -> None:
        """Nothing is held open."""


def open_video(source: MediaSource, *, backend: str | None = None, index: MediaIndex | None = None) -> VideoReader:
    """The frames of a path, URL, bytes, open file, `VideoArray` or `FrameFolder`.

    Args:
        backend: "pyav", or "decord" where it is right for the file; None: PyAV, the faster one.
        index: of `index_media`, where the caller has it already (for a path).

    Raises `FileNotFoundError`, or `ValueError` for what is not a video.
    """
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend must be None or one of {BACKENDS}, got {backend!r}")
    source = plain_source(source)
    if isinstance(source, VideoArray):
        return VideoReader(_array_index(source), decoder=ArrayDecoder(source.frames))
    if isinstance(source, FrameFolder):
        found = find_frames(source)
        return VideoReader(
            _folder_index(found, fps=source.fps), decoder=PictureDecoder(found.files), warnings=found.warnings
        )
    with ExitStack() as resources:
        path = resources.enter_context(local_file(source))
        media = index or index_media(path)
        if media.video is None:
            raise ValueError(f"{path.name} has no video that can be read: {'; '.join(media.warnings) or 'sound only'}")
        warnings = media.warnings
        if is_animated_webp(path):
            pictures = WebPDecoder(path)
            return VideoReader(media.video, decoder=pictures, resources=resources.pop_all(), warnings=warnings)
        if backend == "decord" and not suits_decord(path, index=media.video):
            warnings += (f"decord cannot be trusted with {path.name}; read with PyAV",)
            backend = "pyav"
        decoder_class = DecordDecoder if backend == "decord" else PyAVDecoder
        decoder = decoder_class(path, index=media.video)
        return VideoReader(media.video, decoder=decoder, resources=resources.pop_all(), warnings=warnings)


def suits_decord(path: Path, *, index: VideoIndex) -> bool:
    """True where decord's n-th picture is the container's n-th displayed frame, and reached without long detours."""
    with path.open("rb") as file:
        head = file.read(8)
    known = any(head[place : place + len(mark)] == mark for mark, place in DECORD_FORMATS.items())
    group = len(index.times) / max(len(index.keyframes), 1)
    return known and index.plain and index.timestamps is not None and group <= DECORD_LONGEST_GROUP


def fit_size(*, height: int, width: int, shortest: int | None = None, longest: int | None = None) -> tuple[int, int]:
    """(height, width) shrunk so that neither side limit is exceeded, aspect kept; never enlarged.

    A frame of 1080 x 1920 with shortest=224 becomes 224 x 398; with longest=416 it becomes 234 x 416.
    """
    scale = 1.0
    if shortest is not None:
        scale = min(scale, shortest / min(height, width))
    if longest is not None:
        scale = min(scale, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _array_index(source: VideoArray) -> VideoIndex:
    times = np.asarray(source.times, dtype=np.float64)
    spacing = float(np.median(np.diff(times))) if len(times) > 1 else SINGLE_FRAME_SECONDS
    height, width = source.frames.shape[1:3]
    return VideoIndex.of_pictures(times, end_seconds=float(times[-1]) + spacing, width=width, height=height)


def _folder_index(found: FrameFiles, *, fps: float) -> VideoIndex:
    height, width = read_picture(found.files[0]).shape[:2]
    end = float(found.times[-1]) + 1 / fps
    return VideoIndex.of_pictures(found.times, end_seconds=end, width=width, height=height)
