"""Labelled photographs of faces as examples: videos of a single frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from microemo.data.example import EmotionTargets, Example
from microemo.data.identities import SPLITS, split_of
from microemo.data.still_faces import read_labels


def read_stills(root: Path, *, split: str = "all") -> Iterator[Example]:
    """A folder of photographs with `labels.csv` (file, emotion, identity).

    Args:
        split: of the people, as synthesis divides them, "train", "validation" or "test"; "all" for everybody. The
            face tower that ships has learnt from all people of its own stills, whatever their split.
    """
    if split not in (*SPLITS, "all"):
        raise ValueError(f"split ({split!r}) must be one of {', '.join(SPLITS)}, all")
    root = Path(root)
    for row in read_labels(root):
        if split in ("all", split_of(row.identity)):
            targets = EmotionTargets(closed_label=row.expression)
            yield Example(f"still_{Path(row.file).stem}", video=str(root / row.file), targets=targets)
