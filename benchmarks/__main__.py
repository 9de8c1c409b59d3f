"""Measures and writes the table: `make bench`, or `python -m benchmarks --quick`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import comparisons, corpus_run, decoding, stages, whole
from benchmarks.measuring import ROOT, Figure, run_alone
from benchmarks.tables import machine, to_json, to_markdown

Run = Callable[[], list[Figure]]
PARTS = ("start", "whole", "stages", "decode", "faces", "model", "memory", "growth", "corpus")


def main() -> int:
    arguments = _arguments()
    folder, on, figures = str(arguments.clips.resolve()), machine(), []
    for name, run in _selection(arguments.only, quick=arguments.quick, folder=folder):
        begun = time.perf_counter()
        figures += run()
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        # After every step: a long run that is stopped has been worth its time.
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "benchmarks.json").write_text(to_json(figures, on=on), encoding="utf-8")
        (arguments.out / "benchmarks.md").write_text(to_markdown(figures, on=on), encoding="utf-8")
    print(to_markdown(figures, on=on))
    return 1 if any("failed" in figure.facts for figure in figures) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short clips: minutes on two cores, not an hour")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "benchmarks", help="folder of the table")
    parser.add_argument("--clips", type=Path, default=ROOT / "runs" / "benchmark_clips", help="folder of the clips")
    return parser.parse_args()


def _selection(only: tuple[str, ...], *, quick: bool, folder: str) -> Iterator[tuple[str, Run]]:
    steps = {
        "start": _start,
        "whole": _whole,
        "stages": _stages,
        "decode": _decode,
        "faces": _faces,
        "model": _model,
        "memory": _memory,
        "growth": _growth,
        "corpus": _corpus,
    }
    for part in only:
        for number, run in enumerate(steps[part](quick, folder), start=1):
            yield f"{part} {number}", run


def _alone(function: Callable[..., list[Figure]], **arguments: Any) -> Run:
    return lambda: run_alone(function, **arguments)


def _start(quick: bool, folder: str) -> Iterator[Run]:
    imports = "import time, torch; start = time.perf_counter(); import microemo; print(time.perf_counter() - start)"
    yield lambda: [_printed_seconds("import microemo, beyond import torch", ["-c", imports])]
    yield lambda: [_process_seconds("microemo --help", ["-m", "microemo.cli.main", "--help"])]


def _printed_seconds(subject: str, arguments: list[str]) -> Figure:
    runs = [subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True) for _ in range(3)]
    return Figure("start", subject, min(float(run.stdout) for run in runs))


def _process_seconds(subject: str, arguments: list[str]) -> Figure:
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        took.append(time.perf_counter() - begun)
    return Figure("start", subject, min(took))


def _whole(quick: bool, folder: str) -> Iterator[Run]:
    yield _alone(whole.analyze, seconds=10, mode="scores", folder=folder)
    if quick:
        yield _alone(whole.analyze, seconds=10, mode="explain", folder=folder)
        return
    for mode in ("scores", "explain"):
        yield _alone(whole.analyze, seconds=60, mode=mode, folder=folder)
    for height, people in ((1080, 1), (360, 2), (360, 4), (1080, 4)):
        yield _alone(whole.analyze, seconds=60, height=height, people=people, folder=folder)
    for utterances in (1, 10, 30, 60):
        yield _alone(whole.analyze, seconds=60, utterances=utterances, folder=folder)


def _stages(quick: bool, folder: str) -> Iterator[Run]:
    seconds, utterances = (10, 3) if quick else (60, 15)
    for height, people in ((360, 1), (1080, 1)) if quick else ((360, 1), (360, 2), (360, 4), (1080, 1), (1080, 4)):
        arguments = {"seconds": seconds, "utterances": utterances, "height": height, "people": people}
        yield _alone(stages.reading_stages, folder=folder, **arguments)
    yield _alone(stages.model_stages, seconds=seconds, utterances=utterances, folder=folder)


def _decode(quick: bool, folder: str) -> Iterator[Run]:
    for height in (360, 1080):
        for backend in ("pyav", "decord", "opencv"):
            arguments = {"seconds": 10 if quick else 60, "height": height, "backend": backend, "folder": folder}
            yield _alone(decoding.decoding, **arguments)


def _faces(quick: bool, folder: str) -> Iterator[Run]:
    for height, people in ((360, 1),) if quick else ((360, 1), (360, 2), (1080, 1)):
        arguments = {"seconds": 10 if quick else 60, "height": height, "people": people, "folder": folder}
        yield _alone(comparisons.faces, **arguments)
        yield _alone(comparisons.py_feat, **arguments)


def _model(quick: bool, folder: str) -> Iterator[Run]:
    for utterances in (30,) if quick else (1, 10, 30, 60):
        yield _alone(comparisons.segment_qformer, utterances=utterances)
    seconds, utterances = (20, 5) if quick else (60, 20)
    yield _alone(comparisons.shared_prefix, utterances=utterances, seconds=seconds, folder=folder)
    yield _alone(comparisons.half_precision, utterances=utterances, seconds=seconds, folder=folder)


def _memory(quick: bool, folder: str) -> Iterator[Run]:
    for seconds in (10, 20) if quick else (60, 300):
        for naive in (False, True):
            yield _alone(comparisons.reading_memory, seconds=seconds, height=360, naive=naive, folder=folder)


def _growth(quick: bool, folder: str) -> Iterator[Run]:
    minutes = [1.0, 2.0, 3.0] if quick else [5.0, 10.0, 20.0, 60.0]

    def run() -> list[Figure]:
        figures = [
            figure for minute in minutes for figure in run_alone(whole.analyze, seconds=60 * minute, folder=folder)
        ]
        return [*figures, whole.growth(figures, minutes=minutes)]

    yield run


def _corpus(quick: bool, folder: str) -> Iterator[Run]:
    yield _alone(corpus_run.scaling, clips=4 if quick else 12, workers=[1, 2], folder=folder)


if __name__ == "__main__":
    sys.exit(main())
