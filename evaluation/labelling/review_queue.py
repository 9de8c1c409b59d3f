"""What a person looks at, one clip after the other: the state behind the review page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microemo.data.readers.label_tables import parse_openset
from microemo.evaluation.labelling.label_files import LabelPaths, ReviewFiles


@dataclass(frozen=True)
class ReviewItem:
    """One clip. media: its file. suggestion: the majority's labels, else all that judges named, between commas."""

    name: str
    media: Path
    suggestion: str
    record: dict[str, Any]


class ReviewQueue:
    """The clips for review in their order; `position` is the one that is looked at.

    Every decision is on disk before the next clip is shown.
    """

    def __init__(self, labels: str | Path) -> None:
        """Opens the review of a labels file; raises `ValueError` where nothing was left for review."""
        paths = LabelPaths(Path(labels))
        if not paths.review.is_file():
            raise ValueError(f"LABELS ({labels}) must have its review file {paths.review.name} beside it")
        self.files = ReviewFiles(paths)
        self.root = paths.labels.parent
        self.names = list(self.files.review)
        if not self.names:
            raise ValueError(f"{paths.review} holds no clip: the judges agreed on all")
        self.position = self._next_open(-1)

    @property
    def item(self) -> ReviewItem | None:
        """The clip to look at, None where all have been looked at."""
        if self.position >= len(self.names):
            return None
        record = self.files.review[self.names[self.position]]
        named = dict.fromkeys(label for vote in record["votes"] for label in vote["labels"])
        labels = record["labels"] or list(named)
        media = self.root / (record.get("video") or record["audio"])
        return ReviewItem(self.names[self.position], media, ", ".join(labels), record)

    @property
    def done(self) -> int:
        """How many clips have a decision."""
        return sum(record.get("verdict") is not None for record in self.files.review.values())

    def accept(self, labels: str) -> None:
        """Accepts the clip with these labels, words between commas, and goes on."""
        self._decide(verdict="accepted", labels=parse_openset(labels))

    def reject(self) -> None:
        """Leaves the clip out of the training file, and goes on."""
        self._decide(verdict="rejected")

    def skip(self) -> None:
        """Goes on without a decision."""
        self.position = min(self.position + 1, len(self.names))

    def back(self) -> None:
        """Goes to the clip before, whose decision is taken back."""
        if self.position > 0:
            self.position -= 1
            self.files.decide(self.names[self.position], verdict=None)

    def _decide(self, **decision: Any) -> None:
        if self.position < len(self.names):
            self.files.decide(self.names[self.position], **decision)
            self.position = self._next_open(self.position)

    def _next_open(self, position: int) -> int:
        """The first clip after a position that has no decision."""
        undecided = (
            place
            for place in range(position + 1, len(self.names))
            if self.files.review[self.names[place]].get("verdict") is None
        )
        return next(undecided, len(self.names))
