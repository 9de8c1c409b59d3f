"""Generates clips with several processes; an interrupted run resumes.

OUT/run.json            settings of the run; must be the same when resuming
OUT/clips/NAME.mp4      written under a temporary name and renamed
OUT/truth/NAME.json     ground truth, written after the clip and marking it as complete
OUT/truth.jsonl         all ground truth in the order of the indices, written when all clips are complete
"""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock, Timeout

from microemo.data.emotion_words import own_script, read_goemotions
from microemo.data.identities import Identity, read_identities
from microemo.processing.face_detection import create_detector
from microemo.synthesis.face.face_mesh import FaceMesh
from microemo.synthesis.face.face_models import FaceModels
from microemo.synthesis.face.person_mask import PersonMask
from microemo.synthesis.script.casting import Sources
from microemo.synthesis.script.scenario import ClipSettings
from microemo.synthesis.video.clip_making import ClipMaker, FaceTools
from microemo.synthesis.video.video_writing import write_video
from microemo.synthesis.voice.acted_speech import read_recordings

LOCK_FILE = ".lock"
CLEAN_QUALITY = 18  # H.264 constant rate factor without augmentation
QUALITY = (18, 33)  # range with augmentation
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run, JSON-serialisable for `run.json`.

    Args:
        split: "train", "validation", "test", or "" for all people.
        goemotions: folder of GoEmotions for the texts, "" for the texts of the package.
        recordings: folders of acted speech.
        acted_share: share of clips with a recorded voice.
    """

    count: int
    seed: int
    stills: str
    split: str = ""
    size: int = 224
    fps: float | None = None
    augment: bool = True
    goemotions: str = ""
    recordings: tuple[str, ...] = ()
    acted_share: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count ({self.count}) must be >= 1")
        if self.seed < 0:
            raise ValueError(f"seed ({self.seed}) must be >= 0")

    def clip_settings(self) -> ClipSettings:
        return ClipSettings(size=self.size, fps=self.fps, augment=self.augment)


def read_materials(settings: RunSettings) -> tuple[tuple[Identity, ...], Sources]:
    """Reads the people, texts and voices of a run.

    Raises:
        ValueError: a folder is missing or empty.
    """
    people = read_identities(settings.stills, split=settings.split or None)
    recordings = tuple(recording for folder in settings.recordings for recording in read_recordings(folder))
    script = read_goemotions(settings.goemotions) if settings.goemotions else own_script()
    return people, Sources(script=script, recordings=recordings, acted_share=settings.acted_share)


def create_maker(settings: RunSettings, *, models: FaceModels) -> ClipMaker:
    """Creates the `ClipMaker` of a run.

    Raises:
        ValueError: see `read_materials`.
    """
    people, sources = read_materials(settings)
    return ClipMaker(
        seed=settings.seed,
        people=people,
        tools=face_tools(models),
        sources=sources,
        settings=settings.clip_settings(),
    )


def face_tools(models: FaceModels) -> FaceTools:
    """Detector, mesh and mask that look at photographs."""
    return FaceTools(
        detect=create_detector("centerface").detect,
        mesh=FaceMesh(models.face_mesh),
        segment=PersonMask(models.person_mask),
    )


def clip_name(settings: RunSettings, *, index: int) -> str:
    return f"clip_{settings.seed}_{index:06d}"


def missing_clips(settings: RunSettings, *, out: Path) -> list[int]:
    """Indices of clips without a truth file."""
    truths = {path.name for path in (out / "truth").glob("*.json")}
    return [index for index in range(settings.count) if f"{clip_name(settings, index=index)}.json" not in truths]


def write_clip(maker: ClipMaker, *, index: int, out: Path) -> str:
    """Writes a clip, then its truth. Returns the name of the clip."""
    planned = maker.plan(index)
    name = planned.truth.clip_id
    quality = CLEAN_QUALITY
    if maker.settings.augment:
        quality = int(np.random.default_rng([maker.seed, index, 4]).integers(*QUALITY))
    write_video(
        out / "clips" / f"{name}.mp4",
        frames=planned.frames(),
        frame_times=planned.scenario.performance.frame_times,
        waveform=planned.waveform,
        quality=quality,
    )
    write_atomically(out / "truth" / f"{name}.json", planned.truth.to_json() + "\n")
    return name


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def generate(
    settings: RunSettings,
    *,
    out: str | Path,
    models: FaceModels,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Generates the missing clips of a run and returns the path of `truth.jsonl`.

    Args:
        out: the run's folder: a new one, or that of an interrupted run with the same settings.
        processes: 1 generates in this process; None uses the number of cores.

    Raises:
        ValueError: `out` has another run, or see `read_materials`; `out` is then unchanged.
        OSError: another process writes to `out`, or espeak-ng is missing.
    """
    out = Path(out)
    settings.clip_settings()
    read_materials(settings)  # raises here instead of in every worker
    for folder in (out / "clips", out / "truth"):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        _check_run(settings, out=out)
        for leftover in (*out.rglob(".*.part"),):  # of a killed process
            leftover.unlink(missing_ok=True)
        missing = missing_clips(settings, out=out)
        done = settings.count - len(missing)
        for count, _ in enumerate(_work(settings, missing=missing, out=out, models=models, processes=processes), 1):
            if progress is not None:
                progress("clips", done + count, settings.count)
        lines = (
            (out / "truth" / f"{clip_name(settings, index=index)}.json").read_text(encoding="utf-8")
            for index in range(settings.count)
        )
        write_atomically(out / "truth.jsonl", "".join(lines))
    return out / "truth.jsonl"


def _work(
    settings: RunSettings, *, missing: list[int], out: Path, models: FaceModels, processes: int | None
) -> Iterator[str]:
    """Generates clips and yields their names."""
    workers = min(processes or os.cpu_count() or 1, len(missing))
    if workers <= 1:
        if missing:
            maker = create_maker(settings, models=models)
            yield from (write_clip(maker, index=index, out=out) for index in missing)
        return
    # Not forked, as a forked process could inherit locks of the threads of OpenCV and torch.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(settings, out, models)
    ) as pool:
        futures = [pool.submit(_write_in_worker, index) for index in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_worker: tuple[ClipMaker, Path] | None = None


def _start_worker(settings: RunSettings, out: Path, models: FaceModels) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _worker = create_maker(settings, models=models), out


def _end_with_parent() -> None:
    """Exits when the parent process has ended, as the lock of the folder is then released."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_in_worker(index: int) -> str:
    if _worker is None:
        raise RuntimeError("the worker process was not initialised")
    maker, out = _worker
    return write_clip(maker, index=index, out=out)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    try:
        with FileLock(out / LOCK_FILE, timeout=0):
            yield
    except Timeout:
        raise OSError(f"another process is generating into {out}") from None


def _check_run(settings: RunSettings, *, out: Path) -> None:
    """Writes `run.json`, or compares the settings with it. Only `count` may differ."""
    record = json.loads(json.dumps(asdict(settings)))
    path = out / "run.json"
    if path.is_file():
        previous = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(key for key in record if key != "count" and record[key] != previous.get(key))
        if differing:
            changes = ", ".join(f"{key} {previous.get(key)!r} -> {record[key]!r}" for key in differing)
            raise ValueError(f"out ({out}) holds another run: {changes}")
    elif any((out / "truth").glob("*.json")):
        raise ValueError(f"out ({out}) holds clips of an unknown run: run.json is missing")
    write_atomically(path, json.dumps(record, indent=2) + "\n")
