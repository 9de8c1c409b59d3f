"""Corpora of one stream alone: words (GoEmotions) and acted voices (RAVDESS, EmoDB), split by person."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from microemo.data.clip_features import SECONDS_A_WORD
from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.data.readers.label_tables import read_csv_rows

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


def read_goemotions(root: Path, *, split: str = "train", together: int = 1) -> Iterator[Example]:
    """GoEmotions: `{split}.tsv` (text, comma-separated label numbers, id) and `labels.txt`; words alone.

    Args:
        together: how many comments stand in one example, as utterances one after the other: most of a short prompt
            is the same for all of them, and is then read once.
    """
    if together < 1:
        raise ValueError(f"together ({together}) must be >= 1")
    root = Path(root)
    names = (root / "labels.txt").read_text(encoding="utf-8").split()
    with (root / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        while comments := list(islice(rows, together)):
            spoken = [_comment(text, numbers, names=names) for text, numbers, _ in comments]
            yield Example(
                example_id=f"goemotions_{comments[0][2]}",
                utterances=tuple(spoken if together == 1 else in_turn(spoken)),
            )


def _comment(text: str, numbers: str, *, names: Sequence[str]) -> LabelledUtterance:
    targets = EmotionTargets(emotions=tuple(names[int(number)] for number in numbers.split(",")))
    return LabelledUtterance(" ".join(text.split()), targets=targets)


def in_turn(spoken: Sequence[LabelledUtterance]) -> Iterator[LabelledUtterance]:
    """The utterances with times, one after the other, each as long as it would take to say."""
    clock = 0.0
    for utterance in spoken:
        end = clock + SECONDS_A_WORD * max(len(utterance.text.split()), 1)
        yield replace(utterance, start_seconds=clock, end_seconds=end)
        clock = end


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
