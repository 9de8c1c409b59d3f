"""MicroEmo's emotion wheel, a substitute for the official files: families, second level, words with their forms.

Figures with this wheel are not comparable with those of the challenges; `wheel_files` reads the official wheels. It
maps GoEmotions' 27 emotions and neutral, and the six labels of MER (neutral, angry, happy, sad, worried, surprise).
"""

import csv
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

from microemo.data.emotion_wheel import EmotionWheels, Rule, wheel_from_rows

TABLE = Path(__file__).with_name("default_wheel.csv")
DESCRIPTION = Path(__file__).with_name("default_wheel.json")
FAMILY = Rule("wheel", wheel=1, level=1)
SECOND_LEVEL = Rule("wheel", wheel=1, level=2)

Sentiment = Literal["positive", "negative", "neutral"]


@cache
def default_wheels() -> EmotionWheels:
    """Returns MicroEmo's wheel: one wheel, on which each word is a wheel word, so that M1 and M2 agree."""
    bases: dict[str, set[str]] = {}
    rows = []
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.append((row["family"], row["second_level"], row["word"]))
            for form in (row["word"], *filter(None, row["forms"].split("; "))):
                bases.setdefault(form, set()).add(row["word"])
    words = {word for row in rows for word in row}
    for node in words - bases.keys():  # a family such as "affection" that is only a form of one of its words
        bases[node] = {node}
    return EmotionWheels(
        name=json.loads(DESCRIPTION.read_text(encoding="utf-8"))["name"],
        bases={form: tuple(sorted(base_words)) for form, base_words in bases.items()},
        wheel_words={word: (word,) for word in words},
        wheels=(wheel_from_rows(rows),),
    )


@cache
def family_valence() -> dict[str, int]:
    """Returns family -> 1 (pleasant), -1 (unpleasant) or 0."""
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))["family_valence"]


def emotion_family(label: str) -> str | None:
    """Returns the family of a label ("worried" -> "fear"); None if it is not on the wheel."""
    return default_wheels().map_label(label, rule=FAMILY)


def sentiment_of_labels(labels: Iterable[str]) -> Sentiment:
    """Returns whether pleasant or unpleasant families are in the majority; "neutral" for a tie or no family."""
    families = [emotion_family(label) for label in labels]
    balance = sum(family_valence()[family] for family in families if family is not None)
    return "positive" if balance > 0 else "negative" if balance < 0 else "neutral"
