"""Readers of corpora with a single stream: words (GoEmotions) and acted voices (RAVDESS, EmoDB), split by person."""

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
    """Format of a `labels.csv`. person: column of the speaker. validation_people: number of speakers for validation,
    the last by name. has_sentences: whether there is a column with the words."""

    person: str
    validation_people: int
    has_sentences: bool


VOICE_CORPORA = {
    "ravdess": VoiceCorpus("actor", validation_people=4, has_sentences=True),  # two of each sex
    "emodb": VoiceCorpus("speaker", validation_people=2, has_sentences=False),
}


def read_goemotions(root: Path, *, split: str = "train", together: int = 1) -> Iterator[Example]:
    """Reads GoEmotions: `{split}.tsv` (text, comma-separated label numbers, id) and `labels.txt`; only words.

    Args:
        together: number of comments per example, as consecutive utterances. They share the common part of the prompt,
            which is then encoded once.
    """
    if together < 1:
        raise ValueError(f"together ({together}) must be >= 1")
    root = Path(root)
    names = (root / "labels.txt").read_text(encoding="utf-8").split()
    with (root / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        while comments := list(islice(rows, together)):
            utterances = [_comment(text, numbers, names=names) for text, numbers, _ in comments]
            yield Example(
                example_id=f"goemotions_{comments[0][2]}",
                utterances=tuple(utterances if together == 1 else in_turn(utterances)),
            )


def _comment(text: str, numbers: str, *, names: Sequence[str]) -> LabelledUtterance:
    targets = EmotionTargets(emotions=tuple(names[int(number)] for number in numbers.split(",")))
    return LabelledUtterance(" ".join(text.split()), targets=targets)


def in_turn(utterances: Sequence[LabelledUtterance]) -> Iterator[LabelledUtterance]:
    """Yields the utterances with consecutive times and an assumed duration of their words."""
    clock = 0.0
    for utterance in utterances:
        end = clock + SECONDS_A_WORD * max(len(utterance.text.split()), 1)
        yield replace(utterance, start_seconds=clock, end_seconds=end)
        clock = end


def read_voices(root: Path, *, corpus: str, split: str = "train") -> Iterator[Example]:
    """Reads RAVDESS or EmoDB: recordings and `labels.csv` (file, actor or speaker, sentence, emotion).

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
        # EmoDB only has codes of its German sentences.
        words = row.get("sentence", "") if layout.has_sentences else ""
        yield Example(
            example_id=f"{corpus}_{Path(row['file']).stem}",
            audio=str(root / row["file"]),
            utterances=(LabelledUtterance(words, targets=targets),),
            targets=targets,
        )
