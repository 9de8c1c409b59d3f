"""Emotion words and sentences that express emotions: the package's lexicon and, if available, GoEmotions."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

CLOSED_LABELS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
STRENGTHS = ("weak", "medium", "strong")
STRENGTH_LIMITS = (0.45, 0.8)  # intensity below the first is weak, from the second on strong

WORDS_IN_LINE = (3, 16)  # minimum and maximum length of a GoEmotions comment for speech
SPEAKABLE = re.compile(r"[A-Za-z0-9 ,.!?'\"-]+")
COARSE = re.compile(r"fuck|shit|cunt|nigg|fag|retard|rape|porn|dick|cock|whore|slut|bitch|kill|suicid", re.IGNORECASE)

# GoEmotions label -> closed label, after the grouping in the paper (Demszky et al. 2020, table of Ekman's emotions).
GOEMOTIONS_TO_CLOSED = {
    "anger": "anger", "annoyance": "anger", "disapproval": "anger", "disgust": "disgust", "fear": "fear",
    "nervousness": "fear", "joy": "happiness", "amusement": "happiness", "excitement": "happiness",
    "gratitude": "happiness", "love": "happiness", "optimism": "happiness", "relief": "happiness",
    "pride": "happiness", "admiration": "happiness", "approval": "happiness", "caring": "happiness",
    "desire": "happiness", "sadness": "sadness", "disappointment": "sadness", "embarrassment": "sadness",
    "grief": "sadness", "remorse": "sadness", "surprise": "surprise", "realization": "surprise",
    "confusion": "surprise", "curiosity": "surprise", "neutral": "neutral",
}  # fmt: skip
GOEMOTIONS_ADJECTIVES = {
    "admiration": "admiring", "amusement": "amused", "anger": "angry", "annoyance": "annoyed", "approval": "approving",
    "caring": "caring", "confusion": "confused", "curiosity": "curious", "desire": "longing",
    "disappointment": "disappointed", "disapproval": "disapproving", "disgust": "disgusted",
    "embarrassment": "embarrassed", "excitement": "excited", "fear": "afraid", "gratitude": "grateful",
    "grief": "grieving", "joy": "joyful", "love": "loving", "nervousness": "nervous", "optimism": "hopeful",
    "pride": "proud", "realization": "struck by a thought", "relief": "relieved", "remorse": "remorseful",
    "sadness": "sad", "surprise": "surprised", "neutral": "neutral",
}  # fmt: skip


@dataclass(frozen=True)
class EmotionEntry:
    """One closed label in the lexicon.

    labels: open-vocabulary labels by strength. goemotions: corresponding GoEmotions labels. sentences: sentences that
    express it.
    """

    valence: float
    arousal: float
    goemotions: tuple[str, ...]
    labels: dict[str, tuple[str, ...]]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class ScriptLine:
    """A sentence to speak. goemotions: its annotated labels; empty for sentences of the package."""

    text: str
    emotion: str
    goemotions: tuple[str, ...] = ()


Script = dict[str, tuple[ScriptLine, ...]]


@cache
def load_lexicon() -> dict[str, EmotionEntry]:
    """Returns the package's lexicon by closed label."""
    table = json.loads((Path(__file__).parent / "emotion_lexicon.json").read_text(encoding="utf-8"))
    return {
        emotion: EmotionEntry(
            valence=entry["valence"],
            arousal=entry["arousal"],
            goemotions=tuple(entry["goemotions"]),
            labels={strength: tuple(entry["labels"][strength]) for strength in STRENGTHS},
            sentences=tuple(entry["sentences"]),
        )
        for emotion, entry in table.items()
    }


def own_script() -> Script:
    """Returns the package's sentences by closed label."""
    return {
        emotion: tuple(ScriptLine(sentence, emotion) for sentence in entry.sentences)
        for emotion, entry in load_lexicon().items()
    }


def read_goemotions(folder: str | Path) -> Script:
    """Returns speakable GoEmotions comments by closed label; contempt has the sentences of the package.

    Only comments whose labels all belong to one closed label are used.

    Args:
        folder: contains `train.tsv` (text, comma-separated label numbers, comment id) and `labels.txt`.
    """
    folder = Path(folder)
    for name in ("train.tsv", "labels.txt"):
        if not (folder / name).is_file():
            raise ValueError(f"the GoEmotions folder ({folder}) must contain {name}")
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    comments: dict[str, list[ScriptLine]] = {emotion: [] for emotion in CLOSED_LABELS}
    with (folder / "train.tsv").open(encoding="utf-8", newline="") as file:
        for text, numbers, *_ in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            labels = tuple(names[int(number)] for number in numbers.split(","))
            families = {GOEMOTIONS_TO_CLOSED[label] for label in labels}
            if len(families) == 1 and is_speakable(text):
                emotion = families.pop()
                comments[emotion].append(ScriptLine(" ".join(text.split()), emotion, labels))
    package_script = own_script()
    return {emotion: tuple(lines) or package_script[emotion] for emotion, lines in comments.items()}


def is_speakable(text: str) -> bool:
    """Whether a comment is suitable for speech: short, plain characters, no placeholders, no coarse words."""
    words = len(text.split())
    return (
        WORDS_IN_LINE[0] <= words <= WORDS_IN_LINE[1]
        and SPEAKABLE.fullmatch(text) is not None
        and COARSE.search(text) is None
        and any(character.isalpha() for character in text)
    )


def strength_of(intensity: float) -> str:
    """Returns "weak", "medium" or "strong" for an intensity in 0..1."""
    return STRENGTHS[sum(intensity >= limit for limit in STRENGTH_LIMITS)]


def open_labels(emotion: str, *, intensity: float, count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Draws up to `count` distinct words for an emotion of the given intensity."""
    words = load_lexicon()[emotion].labels[strength_of(intensity)]
    return tuple(str(word) for word in rng.permutation(words)[:count])
