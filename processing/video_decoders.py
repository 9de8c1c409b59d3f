"""Decodes selected frames with decord or PyAV.

At the video's own size both give the same images. Both resize during the conversion to RGB with FFmpeg's bilinear
filter (which averages when shrinking), but not identically: at 224 x 224, images differ by 0.1 to 1.3 levels (of 255)
on average and by up to 36 in single pixels. A model should get images from the decoder it was trained with
(`timechat_preset`).

HDR, interlaced, rotated or mirrored video and changes of size within the file are handled by the PyAV decoder only.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .media_index import VideoIndex, decode_frames, find_video_stream, open_container
from .tone_mapping import colours_of, hdr_name, tone_map

try:
    from av.filter import Graph
    from av.video.reformatter import Interpolation, VideoReformatter
except ImportError:
    Graph = Interpolation = VideoReformatter = None  # type: ignore[assignment,misc]
try:
    import decord
except ImportError:  # no wheels for arm64
    decord = None

ASPECT_TOLERANCE = 0.01  # within it, a frame of another size fills the output
SEEK_GAP_FRAMES = 24  # decoding this many frames is cheaper than seeking
DECORD_LOCATION = re.compile(r"^\[[\d:]+\] \S+:\d+: ")  # clock, file and line at the start of its messages
DECORD_DEADLINE_SECONDS = 60.0  # per batch; decord hangs on some broken files


class DecordError(RuntimeError):
    """decord failed or hangs: PyAV must read `path` instead."""

    def __init__(self, reason: str, *, path: Path) -> None:
        super().__init__(f"decord: {reason}")
        self.path = path


class DecordDecoder:
    """Decodes frames with decord, reopened for each output size."""

    name = "decord"
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, *, index: VideoIndex) -> None:
        if decord is None:
            raise ImportError('backend="decord" needs the package decord: pip install decord (no wheels for arm64)')
        self.path, self.index = path, index
        self.worker = DeadlineWorker()
        self.reader: Any = None
        self.size: tuple[int, int] | None = None

    def decode(self, indices: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (position, frame (height, width, 3)) for increasing positions in the index."""
        try:
            pictures = self.worker.call(
                lambda: self._read(indices.tolist(), height=height, width=width),
                seconds=DECORD_DEADLINE_SECONDS,
            )
        except Exception as error:  # decord raises its own types besides RuntimeError and AssertionError
            reason = DECORD_LOCATION.sub("", (str(error) or type(error).__name__).splitlines()[0])
            raise DecordError(reason, path=self.path) from error
        yield from zip(indices.tolist(), pictures, strict=True)

    def _read(self, indices: list[int], *, height: int, width: int) -> np.ndarray:
        reader = self._open(height=height, width=width)
        pictures = reader.get_batch(indices).asnumpy()
        # decord keeps decoding in the background without a bound (gigabytes in seconds); a seek stops it.
        reader.seek(0)
        return pictures

    def _open(self, *, height: int, width: int):
        if self.reader is None or self.size != (height, width):
            self.reader, self.size = (
                decord.VideoReader(str(self.path.absolute()), height=height, width=width),
                (height, width),
            )
            if len(self.reader) != len(self.index.times):
                raise RuntimeError(f"{len(self.reader)} frames counted, the file has {len(self.index.times)}")
        return self.reader

    def close(self) -> None:
        self.worker.close()
        self.reader = None


class PyAVDecoder:
    """Decodes frames with PyAV: continues from the current position, and seeks over gaps that contain a keyframe."""

    name = "pyav"

    def __init__(self, path: Path, *, index: VideoIndex) -> None:
        self.path, self.index = path, index
        self.reformatter = VideoReformatter()  # caches its scaler: a new one per frame costs ten times the conversion
        self.fields = FieldReader()
        self.notes: tuple[str, ...] = ()  # warnings about the frames
        self.part_starts = None if index.parts is None else np.flatnonzero(np.diff(index.parts, prepend=-1))
        self.container: Any = None
        self.frame: Any = None  # the last decoded one
        self.position = -1  # of that frame in the index
        self._restart()

    def decode(self, indices: np.ndarray, *, height: int, width: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (position, frame (height, width, 3)) for increasing positions; undecodable frames are left out."""
        for position in indices.tolist():
            frame = self._frame_at(position)
            if frame is not None:
                yield position, self._picture(frame, height=height, width=width)

    def _frame_at(self, position: int):
        if self.position > position:
            self._restart()
        timestamps = self.index.timestamps
        if timestamps is None or self.part_starts is not None:  # in joined recordings timestamps are ambiguous
            while self.position < position and self._advance():
                pass
            return self.frame if self.position == position else None
        self._seek_over_gap(position, timestamps=timestamps)
        while (self.frame is None or self.frame.pts < timestamps[position]) and self._advance():
            pass
        return self.frame if self.frame is not None and self.frame.pts == timestamps[position] else None

    def _seek_over_gap(self, position: int, *, timestamps: np.ndarray) -> None:
        keyframes = self.index.keyframes
        key = int(np.searchsorted(keyframes, timestamps[position], side="right")) - 1
        if key < 0 or np.searchsorted(timestamps, keyframes[key]) - self.position < SEEK_GAP_FRAMES:
            return
        self.container.seek(int(keyframes[key]), stream=self.stream, backward=True)
        self.frames = decode_frames(self.container, self.stream)
        if not self._advance() or self.frame.pts > timestamps[position]:  # the seek went too far: restart
            self._restart()

    def _advance(self) -> bool:
        self.frame = next(self.frames, None)
        if self.frame is None:
            self.position = len(self.index.times)
        elif self.index.timestamps is None:
            self.position += 1
        elif self.part_starts is not None:
            self.position = self._position_after(self.position, self.frame)
        else:
            self.position = int(np.searchsorted(self.index.timestamps, self.frame.pts))
        return self.frame is not None

    def _position_after(self, position: int, frame) -> int:
        """The first later position whose timestamp matches the frame; the same position if there is none.

        A later recording starts with a keyframe, or near its start; elsewhere an equal timestamp is a frame out of
        order.
        """
        timestamps, starts = self.index.timestamps, self.part_starts
        if frame.pts is None or timestamps is None or starts is None:
            return position
        for start, end in zip(starts, [*starts[1:], len(timestamps)], strict=True):
            first = max(int(start), position + 1)
            if first >= end:
                continue
            position_found = first + int(np.searchsorted(timestamps[first:end], frame.pts))
            is_match = position_found < end and timestamps[position_found] == frame.pts
            if is_match and (start <= position or frame.key_frame or position_found - start < SEEK_GAP_FRAMES):
                return position_found
        return position

    def _restart(self) -> None:
        self.close()
        self.container = open_container(self.path)
        self.stream = find_video_stream(self.container)
        self.stream.thread_type = "AUTO"
        self.frames = decode_frames(self.container, self.stream)
        self.frame, self.position = None, -1

    def _picture(self, frame, *, height: int, width: int) -> np.ndarray:
        quarter_turns = self.index.quarter_turns
        stored_width, stored_height = (height, width) if quarter_turns % 2 else (width, height)
        picture = self._fitted(frame, height=stored_height, width=stored_width)
        if self.index.mirrored:
            picture = picture[:, ::-1]
        return np.rot90(picture, quarter_turns) if quarter_turns else picture

    def _fitted(self, frame, *, height: int, width: int) -> np.ndarray:
        """The frame as RGB in (height, width); frames with another aspect ratio are letterboxed."""
        aspect = frame.width / frame.height
        usual = self.index.stored_aspect or aspect
        if abs(aspect / usual - 1) <= ASPECT_TOLERANCE:
            return self._converted(frame, height=height, width=width)
        self.notes = (f"the picture's shape changes within the video (to {frame.width}x{frame.height})",)
        inner_width = max(1, round(width * min(1.0, aspect / usual)))
        inner_height = max(1, round(height * min(1.0, usual / aspect)))
        framed = np.zeros((height, width, 3), dtype=np.uint8)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        framed[top : top + inner_height, left : left + inner_width] = self._converted(
            frame, height=inner_height, width=inner_width
        )
        return framed

    def _converted(self, frame, *, height: int, width: int) -> np.ndarray:
        transfer, primaries = colours_of(frame, self.stream)
        is_hdr = hdr_name(transfer) is not None
        if frame.interlaced_frame:
            frame = self.fields.field_of(frame)
        picture = self.reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb48le" if is_hdr else "rgb24",
            interpolation=Interpolation.BILINEAR,
        ).to_ndarray()
        return tone_map(picture, transfer=transfer, primaries=primaries) if is_hdr else picture

    def close(self) -> None:
        if self.container is not None:
            self.frames.close()
            self.container.close()


class FieldReader:
    """Extracts one field of interlaced frames: the two fields show different moments and look combed together."""

    def __init__(self) -> None:
        self.graph: Any = None
        self.kind: tuple | None = None

    def field_of(self, frame):
        """The upper field: a frame of half the height."""
        kind = (frame.width, frame.height, frame.format.name)
        if self.kind != kind:
            self.graph, self.kind = Graph(), kind
            source = self.graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            field, sink = self.graph.add("field", "top"), self.graph.add("buffersink")
            source.link_to(field)
            field.link_to(sink)
            self.graph.configure()
        self.graph.push(frame)
        return self.graph.pull()


class DeadlineWorker:
    """A thread that runs one call at a time, each with a time limit.

    decord cannot be interrupted, so a hanging call is abandoned with its thread. One thread is used for all calls,
    because
    memory that decord allocates in a new thread is never freed.
    """

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue = queue.SimpleQueue()
        self.results: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=_work, args=(self.calls, self.results), daemon=True).start()

    def call(self, function: Callable[[], np.ndarray], *, seconds: float) -> np.ndarray:
        """Returns the function's result or raises its error; `TimeoutError` after `seconds`."""
        self.calls.put(function)
        try:
            result, error = self.results.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer in {seconds:g} s") from None
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        self.calls.put(None)


def _work(calls: queue.SimpleQueue, results: queue.SimpleQueue) -> None:
    while (function := calls.get()) is not None:
        try:
            results.put((function(), None))
        except Exception as error:
            results.put((None, error))
        del function  # releases the reader
