"""Labelled segments of real video as examples: a clip each, whose segments are its utterances."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.labelled_segments import LabelledSegment, read_segments


def read_labelled_segments(root: Path) -> Iterator[Example]:
    """A folder of videos with `labels.csv` and `sources.csv`, see `read_segments`.

    Clips without a licence are left out. What is said is not known: the segments have no words.
    """
    licensed = sorted((one for one in read_segments(root) if one.is_licensed), key=lambda one: one.file)
    for file, segments in groupby(licensed, key=lambda one: one.file):
        utterances = tuple(_utterance(segment) for segment in sorted(segments, key=lambda one: one.start_seconds))
        yield Example(f"segments_{Path(file).stem}", video=str(Path(root) / file), utterances=utterances)


def _utterance(segment: LabelledSegment) -> LabelledUtterance:
    targets = EmotionTargets(closed_label=segment.expression)
    return LabelledUtterance("", segment.start_seconds, segment.end_seconds, targets=targets)
