"""Readers of labelled faces: photographs as videos of a single frame, and labelled segments of real video."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.identities import SPLITS, split_of
from microemo.data.labelled_segments import LabelledSegment, read_segments
from microemo.data.still_faces import read_labels


def read_stills(root: Path, *, split: str = "all") -> Iterator[Example]:
    """Reads a folder of photographs with `labels.csv` (file, emotion, identity).

    Args:
        split: split of the people as in synthesis, "train", "validation" or "test"; "all" for everybody. The published
            face tower was trained on all people of its photographs, whatever their split.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split ({split!r}) must be one of {', '.join(SPLITS)}, all")
    root = Path(root)
    for row in read_labels(root):
        if split in ("all", split_of(row.identity)):
            targets = EmotionTargets(closed_label=row.expression)
            yield Example(f"still_{Path(row.file).stem}", video=str(root / row.file), targets=targets)


def read_labelled_segments(root: Path) -> Iterator[Example]:
    """Reads a folder of videos with `labels.csv` and `sources.csv`, see `read_segments`.

    Each clip is an example whose segments are its utterances, without words. Clips without a licence are skipped.
    """
    licensed = sorted(
        (segment for segment in read_segments(root) if segment.is_licensed), key=lambda segment: segment.file
    )
    for file, segments in groupby(licensed, key=lambda segment: segment.file):
        ordered = sorted(segments, key=lambda segment: segment.start_seconds)
        utterances = tuple(_utterance(segment) for segment in ordered)
        yield Example(f"segments_{Path(file).stem}", video=str(Path(root) / file), utterances=utterances)


def _utterance(segment: LabelledSegment) -> LabelledUtterance:
    targets = EmotionTargets(closed_label=segment.expression)
    return LabelledUtterance("", segment.start_seconds, segment.end_seconds, targets=targets)
