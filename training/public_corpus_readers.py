"""Corpora of one stream alone: words (GoEmotions) and acted voices (RAVDESS, EmoDB), split by person."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from microemo.training.example import EmotionTargets, Example, LabelledUtterance
from microemo.training.label_tables import read_csv_rows

SPLITS = ("train", "validation", "all")


@dataclass(frozen=True)
class VoiceCorpus:
    """Columns of a `labels.csv`, and how many people, the last by name, are left for validation."""

    person: str
    validation_people: int
    has_sentences: bool


VOICE_CORPORA = {
    "ravdess": VoiceCorpus("actor", validation_people=4, has_sentences=True),  # two of each sex
    "emodb": VoiceCorpus("speaker", validation_people=2, has_sentences=False),
}


def read_goemotions(root: Path, *, split: str = "train") -> Iterator[Example]:
    """GoEmotions: `{split}.tsv` (text, comma-separated label numbers, id) and `labels.txt`; words alone."""
    root = Path(root)
    names = (root / "labels.txt").read_text(encoding="utf-8").split()
    with (root / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        for text, numbers, comment_id in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            targets = EmotionTargets(emotions=tuple(names[int(number)] for number in numbers.split(",")))
            words = " ".join(text.split())
            yield Example(
                example_id=f"goemotions_{comment_id}", utterances=(LabelledUtterance(words, targets=targets),)
            )


def read_voices(root: Path, *, corpus: str, split: str = "train") -> Iterator[Example]:
    """RAVDESS or EmoDB: `labels.csv` (file, actor or speaker, sentence, emotion) beside the recordings.

    Args:
        corpus: "ravdess" or "emodb".
        split: "train" and "validation" share no person; "all" is both.
    """
    root = Path(root)
    if corpus not in VOICE_CORPORA:
        raise ValueError(f"corpus ({corpus!r}) must be one of {', '.join(VOICE_CORPORA)}")
    if split not in SPLITS:
        raise ValueError(f"split ({split!r}) must be one of {', '.join(SPLITS)}")
    layout = VOICE_CORPORA[corpus]
    rows = read_csv_rows(root / "labels.csv", required=("file", layout.person, "emotion"))
    people = sorted({row[layout.person] for row in rows})
    held_out = set(people[-layout.validation_people :])
    for row in rows:
        if split != "all" and (row[layout.person] in held_out) != (split == "validation"):
            continue
        targets = EmotionTargets(closed_label=row["emotion"])
        # EmoDB gives codes of its German sentences, which a model of English words has no use for.
        words = row.get("sentence", "") if layout.has_sentences else ""
        yield Example(
            example_id=f"{corpus}_{Path(row['file']).stem}",
            audio=str(root / row["file"]),
            utterances=(LabelledUtterance(words, targets=targets),),
            targets=targets,
        )
