"""The files of a labelling run, next to each other:

    labels.jsonl         clips that are kept or accepted: a training file of the reader "jsonl"
    labels.review.jsonl  clips that a person must look at, with what was decided on them
    labels.votes.jsonl   every judge's opinion, so that a run that was stopped goes on

Labels and reviews are written whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from microemo.data.example import LabelledUtterance, writable_labels
from microemo.data.readers.media_folders import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from microemo.evaluation.labelling.judges import Opinion
from microemo.evaluation.labelling.votes import Decision, Vote
from microemo.evaluation.prediction_store import prediction_key, whole_lines
from microemo.inference.report.export import write_atomically

Verdict = Literal["accepted", "rejected"]


@dataclass(frozen=True)
class LabelPaths:
    """Where a run's files lie."""

    labels: Path

    def __post_init__(self) -> None:
        if self.labels.suffix != ".jsonl" or self.labels.name.endswith((".review.jsonl", ".votes.jsonl")):
            raise ValueError(f"--out ({self.labels}) must be a file of labels that ends in .jsonl")

    @property
    def review(self) -> Path:
        """The clips for a person."""
        return self.labels.with_suffix(".review.jsonl")

    @property
    def votes(self) -> Path:
        """The opinions."""
        return self.labels.with_suffix(".votes.jsonl")


@dataclass(frozen=True)
class JudgedClip:
    """A clip with all opinions and the decision on them."""

    video: Path
    votes: tuple[Vote, ...]
    utterances: tuple[LabelledUtterance, ...]
    decision: Decision

    def record(self, *, root: Path) -> dict[str, Any]:
        """A line of the files; the path is relative to their folder."""
        kind = "audio" if self.video.suffix.lower() in AUDIO_SUFFIXES else "video"
        described = [vote for vote in self.votes if vote.description]
        wanted = set(self.decision.labels)
        fitting = max(described, key=lambda vote: len(wanted & set(vote.labels)), default=None)
        return {
            "clip_id": self.video.stem,
            kind: Path(os.path.relpath(self.video, root)).as_posix(),
            "labels": list(self.decision.labels),
            **({"explanation": fitting.description} if fitting is not None else {}),
            "utterances": [
                {
                    "start_seconds": said.start_seconds,
                    "end_seconds": said.end_seconds,
                    "speaker": said.speaker,
                    "text": said.text,
                }
                for said in self.utterances
            ],
            "shares": {family: round(share, 3) for family, share in self.decision.shares.items()},
            "agreement": round(self.decision.agreement, 3),
            "entropy": round(self.decision.entropy, 3),
            "votes": [
                {"judge": vote.judge, "labels": list(vote.labels), **({"error": vote.error} if vote.error else {})}
                for vote in self.votes
            ],
        }


class OpinionStore:
    """Opinions under the clip's content and the judge's identity, in a file that grows by a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = map(json.loads, whole_lines(path)) if path.is_file() else ()
        self._kept: dict[str, dict[str, Any]] = {entry["key"]: entry for entry in lines}

    def get(self, *key: str) -> Opinion | None:
        """What was kept."""
        entry = self._kept.get(prediction_key(*key))
        if entry is None:
            return None
        vote = Vote(**{**entry["vote"], "labels": tuple(entry["vote"]["labels"])})
        return Opinion(vote, tuple(LabelledUtterance(**said) for said in entry["utterances"]))

    def add(self, *key: str, opinion: Opinion) -> None:
        """Keeps an opinion, on disk before it returns."""
        vote = opinion.vote
        spoken = [
            {name: getattr(said, name) for name in ("text", "start_seconds", "end_seconds", "speaker")}
            for said in opinion.utterances
        ]
        name = prediction_key(*key)
        entry: dict[str, Any] = {
            "key": name,
            "vote": {"judge": vote.judge, "labels": list(vote.labels), "description": vote.description},
            "utterances": spoken,
        }
        self._kept[name] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


class ReviewFiles:
    """Labels and clips for review, in memory and on disk.

    The labels are written first: a run that ends between the two files asks for the same decision again.
    """

    def __init__(self, paths: LabelPaths) -> None:
        self.paths = paths
        self.labels: dict[str, dict[str, Any]] = {each["clip_id"]: each for each in read_records(paths.labels)}
        self.review: dict[str, dict[str, Any]] = {each["clip_id"]: each for each in read_records(paths.review)}

    def replace(self, clips: Sequence[JudgedClip]) -> None:
        """Takes the clips of a run in place of what was there; what a person has decided on a clip stays."""
        root = self.paths.labels.parent.resolve()
        decided = {name: record for name, record in self.review.items() if record.get("verdict")}
        labels, review = {}, {}
        for clip in clips:
            record, name = clip.record(root=root), clip.video.stem
            if name in decided:
                review[name] = decided[name]
                if decided[name]["verdict"] == "accepted" and name in self.labels:
                    labels[name] = self.labels[name]
            elif clip.decision.is_kept:
                labels[name] = record
            else:
                review[name] = {**record, "reason": clip.decision.reason, "verdict": None}
        self.labels, self.review = labels, review
        self._write()

    def decide(self, name: str, *, verdict: Verdict | None, labels: Iterable[str] = ()) -> None:
        """Records what a person decided on a clip; None takes a decision back.

        Raises `ValueError` for a clip that is not for review, or that is accepted without a label.
        """
        if name not in self.review:
            raise ValueError(f"clip ({name!r}) must be one for review")
        words = writable_labels(tuple(labels))
        if verdict == "accepted" and not words:
            raise ValueError(f"labels of {name} must be one or more words, got none")
        record = {**self.review[name], "verdict": verdict}
        self.labels.pop(name, None)
        if verdict == "accepted":
            record["labels"] = list(words)
            kept = {key: value for key, value in record.items() if key not in ("reason", "verdict")}
            if list(words) != self.review[name]["labels"]:
                kept.pop("explanation", None)  # it gives reasons for other labels
            self.labels[name] = kept
        self.review[name] = record
        self._write()

    def _write(self) -> None:
        for path, records in ((self.paths.labels, self.labels), (self.paths.review, self.review)):
            write_atomically(path, "".join(_line(record) for record in records.values()))


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of this module, [] where there is none; raises `ValueError` for a broken one."""
    if not path.is_file():
        return []
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is no JSON: {error}") from error
        if not isinstance(record, dict) or "clip_id" not in record:
            raise ValueError(f"{path}, line {number} must be an object with a clip_id, as `microemo label` writes it")
        records.append(record)
    return records


def find_clips(paths: Sequence[str | Path]) -> list[Path]:
    """Videos and sound files, and those in folders; raises `ValueError` where there is none, or one name twice."""
    suffixes = (*VIDEO_SUFFIXES, *AUDIO_SUFFIXES)
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes)
        elif path.is_file():
            found.append(path)
        else:
            raise ValueError(f"VIDEOS ({path}) must be files or folders; there is none")
    if not found:
        raise ValueError(f"VIDEOS must hold files that end in {', '.join(suffixes)}; there is none")
    names: dict[str, Path] = {}
    for path in found:
        if path.stem in names:
            raise ValueError(f"VIDEOS must have different names, got {names[path.stem]} and {path}")
        names[path.stem] = path
    return found


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
