"""The labels of a data set as targets of the emotion head: 1, 0, or unknown where a coarser label leaves it open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microemo.data.emotion_words import GOEMOTIONS_ADJECTIVES, GOEMOTIONS_TO_CLOSED
from microemo.data.example import EmotionTargets, writable_labels

UNKNOWN = -100.0

# A data set's word -> the emotion of GoEmotions that it means, where they are not the same word.
EMOTION_OF_WORD = {
    **{adjective: emotion for emotion, adjective in GOEMOTIONS_ADJECTIVES.items()},
    "afraid": "fear", "anxious": "nervousness", "bored": "boredom", "calm": "calm", "contempt": "disapproval",
    "doubt": "confusion", "fearful": "fear", "frustrated": "annoyance", "frustration": "annoyance", "happiness": "joy",
    "happy": "joy", "mad": "anger", "scared": "fear", "shame": "embarrassment", "worried": "nervousness",
    "worry": "nervousness",
}  # fmt: skip


def emotion_labels(targets: EmotionTargets, *, names: Sequence[str]) -> np.ndarray:
    """(E,) float32 for the head's labels `names`: what is felt is 1, what is not is 0.

    - `emotions` name all that applies: every other label of that label set is 0.
    - A class ("happiness") means one emotion (joy); its relatives (amusement, relief, ...) stay unknown, all others
      are 0.
    - Open words are taken as classes; unless all of them are known words, what they do not name stays unknown.
    """
    if targets.emotions:
        return _named(targets.emotions, names=names)
    if targets.closed_label is not None:
        return _of_words([targets.closed_label], names=names)
    return _of_words(writable_labels(targets.open_labels), names=names)


def valence_arousal_labels(targets: EmotionTargets) -> np.ndarray:
    """(2,) float32 in -1..1, -100 unknown."""
    values = (targets.valence, targets.arousal)
    return np.array([UNKNOWN if value is None else value for value in values], np.float32)


def label_ids(id2label: Mapping[int, str]) -> dict[str, int]:
    """Label -> number of a head."""
    return {label: number for number, label in id2label.items()}


def _named(emotions: Sequence[str], *, names: Sequence[str]) -> np.ndarray:
    unknown = sorted(set(emotions) - set(names) - set(GOEMOTIONS_TO_CLOSED))
    if unknown:
        raise ValueError(f"emotions has {unknown}; the head's labels are {list(names)}")
    # A head may have labels that GoEmotions' raters were never asked about.
    asked = set(GOEMOTIONS_TO_CLOSED) | set(emotions) if set(emotions) <= set(GOEMOTIONS_TO_CLOSED) else set(names)
    return np.array([float(name in emotions) if name in asked else UNKNOWN for name in names], np.float32)


def _of_words(words: Sequence[str], *, names: Sequence[str]) -> np.ndarray:
    labels = np.full(len(names), UNKNOWN, np.float32)
    emotions = [emotion_of_word(word, names=names) for word in words]
    found = {emotion for emotion in emotions if emotion is not None}
    if not found:
        return labels
    families = {_family(emotion) for emotion in found}
    for column, name in enumerate(names):
        if name in found:
            labels[column] = 1.0
        elif None not in emotions and _family(name) not in families:
            labels[column] = 0.0
    return labels


def emotion_of_word(word: str, *, names: Sequence[str]) -> str | None:
    """The one of the head's labels `names` that a data set's class or word means; None where there is none."""
    word = word.lower().strip()
    emotion = word if word in names else EMOTION_OF_WORD.get(word)
    return emotion if emotion in names else None


def _family(emotion: str) -> str:
    """The closed class that an emotion belongs to; one that GoEmotions does not have is a family of its own."""
    return GOEMOTIONS_TO_CLOSED.get(emotion, emotion)
