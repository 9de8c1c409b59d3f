"""A small corpus for tests: files that a stand-in analyzer reads, among them some that end it in every way.

The loaders stand in a module, so that processes of their own can import them; they need no model and come at once.
A process dies at a clip named "poison", never comes back from one named "hang", and refuses one that is empty.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from microemo.inference.corpus.manifest import ClipEntry, Manifest
from microemo.inference.corpus.rows import report_row
from microemo.inference.corpus.shards import run_shard
from microemo.inference.report.report import (
    ClipSummary,
    EmotionReport,
    EvidenceReport,
    LabelScore,
    MicroExpression,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    UtteranceReport,
)

MODEL = ModelInfo("somewhere", (), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1")
JOB = {"mode": "scores", "shard": "1/1"}
BROKEN = ("empty.mp4", "hang.mp4", "poison.mp4")


def write_corpus(folder: Path, *, clips: int, broken: bool = False) -> Path:
    """`clips` files, each different; `broken` adds the three bad ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(clips):
        (folder / f"clip_{number:03}.mp4").write_text(f"clip {number}")
    if broken:
        for name in BROKEN:
            (folder / name).write_text("" if name == "empty.mp4" else name)
    return folder


class StandInAnalyzer:
    """Says of a clip what follows from its bytes. calls: a file with a line for each clip that was begun."""

    def __init__(self, *, weights: str = "a", seconds: float = 0.0, calls: Path | None = None) -> None:
        self._weights, self._seconds, self._calls = weights, seconds, calls
        self.model = SimpleNamespace(
            config=SimpleNamespace(to_dict=lambda: {"_name_or_path": "/anywhere", "labels": 2}),
            device=SimpleNamespace(type="cpu"),
        )

    def provenance(self) -> dict[str, Any]:
        return {"model": {"model_id": "/anywhere", "device": "cpu", "weights": self._weights}, "reading": {"fps": 25}}

    def __call__(self, source: str, *, mode: str, progress: Any, **asked: Any) -> EmotionReport:
        progress("frames", 0, 1)
        path = Path(source)
        if self._calls is not None:
            with self._calls.open("a") as file:
                file.write(f"{path.name}\n")
        time.sleep(self._seconds)
        if path.name == "poison.mp4":
            os.kill(os.getpid(), signal.SIGSEGV)
        while path.name == "hang.mp4":
            time.sleep(60)
        text = path.read_text()
        if not text:
            raise ValueError(f"{path.name} is empty")
        return _report(str(source), text, mode=mode)


def _report(source: str, text: str, *, mode: str) -> EmotionReport:
    event = MicroExpression(0, 0.1, 0.2, len(text) / 10, 1 / 3, "fear", (LabelScore("AU4", 0.7),))
    utterances = tuple(
        UtteranceReport(
            start_seconds=float(number),
            end_seconds=number + 1 / 3,
            text=f"{text}, word {number}",
            track_id=0,
            emotions=(LabelScore("joy", 1 / (2 + number)),),
            micro_expressions=(event,) if number == 0 else (),
            evidence=(
                EvidenceReport("face", "happiness", number + 0.1, number + 0.3, "happiness", 0.9, signs=("AU12",)),
            ),
        )
        for number in range(len(text) % 3)
    )
    return EmotionReport(
        source=source,
        duration_seconds=3.0,
        modalities=(Modality("faces", True, "1 person"),),
        status=OutputStatus("trained", "trained", "trained", "not_requested"),
        utterances=utterances,
        summary=ClipSummary(micro_expressions=(event,)),
        face_curves=(),
        model=MODEL,
        settings=Settings("scores" if mode == "scores" else "explain", "speaker"),
    )


def load_stand_in(weights: str = "a", seconds: float = 0.0, calls: Path | None = None) -> StandInAnalyzer:
    """The analyzer."""
    return StandInAnalyzer(weights=weights, seconds=seconds, calls=calls)


def loader(**arguments: Any) -> Any:
    """`load_stand_in` with arguments, as another process can take it."""
    return partial(load_stand_in, **arguments)


def fail_to_load() -> Any:
    """No analyzer."""
    raise ValueError("there is no folder /nowhere")


def plain_row(entry: ClipEntry, *, analyzer: StandInAnalyzer) -> dict[str, Any]:
    """The row of a clip in this process, for tests of what comes after."""
    report = analyzer(entry.path, mode="scores", progress=lambda *_: None)
    return report_row(report, clip_id=entry.id, path=entry.path, fingerprint="f")


if __name__ == "__main__":  # a shard that a test kills: corpus_clips.py MANIFEST OUT CALLS SECONDS
    manifest, out, calls, seconds = sys.argv[1:]
    slow = StandInAnalyzer(calls=Path(calls), seconds=float(seconds))
    run_shard(Manifest.read(manifest), out=out, job=JOB, analyze=partial(plain_row, analyzer=slow))
