"""Decoding alone: the frames that the reader wants, by each of its decoders, and every frame as scripts do it."""

from __future__ import annotations

from pathlib import Path

import cv2

from benchmarks.clips import ClipSpec, make_clip
from benchmarks.measuring import Figure, timed
from microemo.processing.frame_sampling import thin_indices
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.video_reading import fit_size, open_video


def decoding(*, seconds: float, height: int, backend: str, folder: str) -> list[Figure]:
    """Frames at the reader's `face_fps`, in the size in which faces are looked for; "opencv" takes all, whole."""
    spec = ClipSpec(seconds, height)
    path = make_clip(spec, folder=Path(folder))
    read = _every_frame if backend == "opencv" else _wanted_frames
    count, wall, processor = timed(lambda: read(path, backend=backend))
    return [Figure("decode", f"{backend}: {spec.name}", wall, processor, facts={"frames": count})]


def _wanted_frames(path: Path, *, backend: str) -> int:
    settings = ReadingSettings()
    with open_video(path, backend=backend) as video:
        wanted = thin_indices(video.times, rate=settings.face_fps)
        size = fit_size(height=video.height, width=video.width, longest=settings.max_picture_side)
        return sum(len(pictures) for _, pictures in video.read(wanted, size=size))


def _every_frame(path: Path, *, backend: str) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1
    capture.release()
    return count
