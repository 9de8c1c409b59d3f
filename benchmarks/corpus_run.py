"""Clips by several workers at once, for real, beside what the queue model says of it.

Workers are those of a corpus: a process with a model each, that takes the next clip when it is free. They run here in
threads of one program in the place of machines of a cluster. The times of the clips alone come from one worker.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.clips import ClipSpec, make_clip
from benchmarks.measuring import Figure
from benchmarks.queue_model import ClusterModel, predict
from microemo.cli.analysis_arguments import load_analyzer
from microemo.inference.corpus.clip_analyst import ClipAnalyst, LoadAnalyzer
from microemo.inference.corpus.manifest import ClipEntry, describe_files
from microemo.inference.corpus.schema import DONE
from microemo.inference.corpus.settings import CorpusSettings

SHORTEST_SECONDS, STEP_SECONDS = 2.0, 0.4  # of the clips: lengths differ, as those of a corpus do
HEIGHT = 360


def scaling(*, clips: int, workers: Sequence[int], folder: str, model: str | None = None) -> list[Figure]:
    """Real and predicted times of the same clips with each number of workers, one thread each.

    Args:
        model: folder or Hub id; None is microemo-mini.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers that are started from here on
    specs = [ClipSpec(SHORTEST_SECONDS + STEP_SECONDS * number, HEIGHT) for number in range(clips)]
    entries = describe_files([make_clip(spec, folder=Path(folder)) for spec in specs])
    load = partial(load_analyzer, model, device="cpu")
    alone, _ = drain(entries, workers=1, load=load)
    figures = []
    for count in workers:
        times, wall = drain(entries, workers=count, load=load)
        predicted = predict(alone, ClusterModel(count)).seconds
        figures.append(
            Figure(
                "corpus",
                f"{clips} clips, {count} workers",
                seconds=wall,
                facts={
                    "predicted (s)": round(predicted, 2),
                    "real by predicted": round(wall / predicted, 3),
                    "seconds of a clip, by those alone": round(sum(times) / sum(alone), 3),
                    "scaling efficiency": round(sum(alone) / count / wall, 3),
                },
            )
        )
    return figures


def drain(entries: Sequence[ClipEntry], *, workers: int, load: LoadAnalyzer) -> tuple[list[float], float]:
    """Seconds that each clip took, and from the first clip's begin to the last one's end; loading comes before.

    Raises `ValueError` where a clip could not be analysed: its time would be none.
    """
    waiting: queue.SimpleQueue[tuple[int, ClipEntry]] = queue.SimpleQueue()
    for numbered in enumerate(entries):
        waiting.put(numbered)
    took, problems = [0.0] * len(entries), []

    def work(analyst: ClipAnalyst) -> None:
        while True:
            try:
                number, entry = waiting.get_nowait()
            except queue.Empty:
                return
            begun = time.perf_counter()
            row = analyst.analyze(entry)
            took[number] = time.perf_counter() - begun
            if row["status"] != DONE:
                problems.append(f"{entry.path}: {row['error_class']}: {row['message']}")

    analysts = [ClipAnalyst(load, settings=CorpusSettings(mode="scores")) for _ in range(workers)]
    try:
        for analyst in analysts:
            _ = analyst.provenance  # loads
        threads = [threading.Thread(target=work, args=(analyst,)) for analyst in analysts]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wall = time.perf_counter() - begun
    finally:
        for analyst in analysts:
            analyst.stop()
    if problems:
        raise ValueError(f"clips that take no time as others do: {'; '.join(problems)}")
    return took, wall
