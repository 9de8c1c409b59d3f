"""Stores the reports of an evaluation as JSON lines while it runs, so that an interrupted run resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from microemo.data.example import EmotionTargets, Example
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.schema import decode_report


@dataclass(frozen=True)
class EvaluatedClip:
    """An example and the model's report. targets: of each utterance of the report."""

    example: Example
    targets: tuple[EmotionTargets, ...]
    report: EmotionReport

    def __post_init__(self) -> None:
        if len(self.targets) != len(self.report.utterances):
            raise ValueError(
                f"targets ({len(self.targets)}) and utterances of the report ({len(self.report.utterances)}) must "
                "have the same length"
            )


class PredictionStore:
    """Stores evaluated clips by key, in a file if it has a path.

    An incomplete last line is dropped, so that its clip is analysed again. Thumbnails and timings are not stored.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lines: dict[str, str] = {}
        if path is not None and path.is_file():
            self._lines = {json.loads(line)["key"]: line for line in whole_lines(path)}

    def __contains__(self, key: str) -> bool:
        return key in self._lines

    def get(self, key: str, *, example: Example) -> EvaluatedClip:
        """Returns the evaluated clip of `key`, which belongs to `example`."""
        record = json.loads(self._lines[key])
        targets = tuple(_targets(entry) for entry in record["targets"])
        return EvaluatedClip(example, targets, decode_report(record["report"]))

    def add(self, key: str, clip: EvaluatedClip) -> None:
        """Adds a clip and writes it to the file."""
        report = replace(clip.report, thumbnails=(), timings=())
        record = {
            "key": key,
            "example_id": clip.example.example_id,
            "targets": [asdict(entry) for entry in clip.targets],
            "report": report.to_dict(),
        }
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        self._lines[key] = line
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def prediction_key(*parts: object) -> str:
    """Returns a hash of the `repr` of everything that a prediction depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def whole_lines(path: Path) -> Iterator[str]:
    """Yields the complete lines of the file and truncates an incomplete last line."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    yield from filter(None, whole.decode("utf-8").split("\n"))


def _targets(entry: dict[str, Any]) -> EmotionTargets:
    return EmotionTargets(
        **{**entry, "open_labels": tuple(entry["open_labels"]), "emotions": tuple(entry["emotions"])}
    )
