"""Each stage alone: reading by its own functions, the model's parts by hooks on a real analysis."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from benchmarks.clips import ClipSpec, make_clip, spread_utterances
from benchmarks.measuring import Figure, timed, wait_for_device
from benchmarks.whole import complete_analyzer
from microemo.processing.audio_reading import read_audio
from microemo.processing.chunk_reading import ChunkReader, plan_frames, usable_faces
from microemo.processing.face_cropping import alignment_matrix, crop_face
from microemo.processing.face_detection import create_detector
from microemo.processing.reading_chunks import Chunk
from microemo.processing.reading_settings import ReadingSettings
from microemo.processing.roi_detection import RoiDetector
from microemo.processing.shot_detection import frame_thumbnail
from microemo.processing.utterance_alignment import parse_transcript
from microemo.processing.video_reading import open_video

MODEL_PARTS = (
    "frame_tower",
    "face_tower",
    "audio_tower",
    "frame_qformer",
    "micro_dynamics",
    "global_local_attention",
    "video_qformer",
    "audio_qformer",
)


def reading_stages(*, seconds: float, height: int, people: int, utterances: int, folder: str) -> list[Figure]:
    """Decode, detect and track, crop: one after the other, on the frames that the reader itself would use."""
    spec = ClipSpec(seconds, height, people)
    settings = ReadingSettings()
    spoken = parse_transcript(spread_utterances(utterances, seconds=seconds))
    with open_video(make_clip(spec, folder=Path(folder))) as video:
        reader = ChunkReader(video, settings=settings, detector=create_detector("centerface"))
        chunk = Chunk(0.0, seconds, tuple(spoken))
        plan = plan_frames(video.times, chunk=chunk, settings=settings, with_detector=True)
        wanted = np.union1d(plan.frames, plan.faces)
        batches, *decode = timed(lambda: list(video.read(wanted, size=reader.picture_size)))
        pictures = {
            int(place): picture for places, batch in batches for place, picture in zip(places, batch, strict=True)
        }
        _, *detect = timed(lambda: _track(reader, plan.detections, pictures=pictures))
        crops, *crop = timed(lambda: _crop(reader, plan.faces, pictures=pictures))
    rows = {
        "decode": (decode, {"frames": len(wanted)}),
        "detect and track": (detect, {"frames": len(plan.detections)}),
        "crop": (crop, {"crops": crops}),
    }
    return [
        Figure("stages", f"{name}: {spec.name}", seconds=took[0], cpu_seconds=took[1], facts=facts)
        for name, (took, facts) in rows.items()
    ]


def _track(reader: ChunkReader, places: np.ndarray, *, pictures: dict[int, np.ndarray]) -> None:
    detector = RoiDetector(reader.detector, search_fps=reader.settings.search_fps)  # type: ignore[arg-type]
    for place in places.tolist():
        time_, picture = reader.video.times[place], pictures[place]
        thumbnail = frame_thumbnail(picture)
        faces = detector.detect(np.array([time_]), picture[None], thumbnails=[thumbnail])
        reader.tracker.update(float(time_), usable_faces(faces[0], settings=reader.settings), thumbnail=thumbnail)  # type: ignore[union-attr]


def _crop(reader: ChunkReader, places: np.ndarray, *, pictures: dict[int, np.ndarray]) -> int:
    count = 0
    for place in places.tolist():
        for points in reader.landmarks_at(float(reader.video.times[place]), picture=pictures[place]).values():
            crop_face(pictures[place], alignment_matrix(points), reader.settings.face_size)
            count += 1
    return count


def model_stages(*, seconds: float, utterances: int, folder: str) -> list[Figure]:
    """Speech, towers, Q-Formers, prefill and generation within one analysis that explains."""
    spec = ClipSpec(seconds)
    path = make_clip(spec, folder=Path(folder))
    analyzer = complete_analyzer()
    waveform = read_audio(path)
    recognizer = analyzer.reader.recognizer
    figures = []
    if recognizer is not None and waveform is not None:
        found, wall, processor = timed(lambda: recognizer.transcribe(waveform))
        figures.append(Figure("stages", f"speech: {spec.name}", wall, processor, facts={"utterances": len(found)}))
    with ModuleClock() as clock:
        for name in MODEL_PARTS:
            clock.watch(name, getattr(analyzer.model.model, name))
        clock.watch("language model", analyzer.model.model.language_model)
        analyzer(path, transcript=spread_utterances(utterances, seconds=seconds), mode="explain")
    for name, calls in clock.calls.items():
        if name == "language model":
            figures.append(_stage("prefill", spec, calls[:1]))
            figures.append(_stage("generation", spec, calls[1:]))
        else:
            figures.append(_stage(name, spec, calls))
    return figures


def _stage(name: str, spec: ClipSpec, calls: list[tuple[float, float]]) -> Figure:
    walls, processors = (sum(column) for column in zip(*calls, strict=True)) if calls else (0.0, 0.0)
    return Figure("stages", f"{name}: {spec.name}", walls, processors, facts={"calls": len(calls)})


class ModuleClock:
    """Seconds and processor seconds of every call of the modules that are watched."""

    def __init__(self) -> None:
        self.calls: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._started: dict[str, tuple[float, float]] = {}
        self._hooks = ExitStack()

    def watch(self, name: str, module: nn.Module) -> None:
        for register, hook in (
            (module.register_forward_pre_hook, partial(self._begin, name)),
            (module.register_forward_hook, partial(self._end, name)),
        ):
            self._hooks.callback(register(hook).remove)

    def _begin(self, name: str, *_: Any) -> None:
        wait_for_device()
        self._started[name] = (time.perf_counter(), time.process_time())

    def _end(self, name: str, *_: Any) -> None:
        wait_for_device()
        wall, processor = self._started.pop(name)
        self.calls[name].append((time.perf_counter() - wall, time.process_time() - processor))

    def __enter__(self) -> ModuleClock:
        return self

    def __exit__(self, *exception: object) -> None:
        self._hooks.close()
