"""Converts the labels of a data set to targets of the emotion head: 1, 0, or unknown for coarser labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microemo.data.emotion_words import GOEMOTIONS_ADJECTIVES, GOEMOTIONS_TO_CLOSED
from microemo.data.example import EmotionTargets, writable_labels

UNKNOWN = -100.0

# Label of a data set -> the corresponding emotion of GoEmotions, if the words differ.
EMOTION_OF_WORD = {
    **{adjective: emotion for emotion, adjective in GOEMOTIONS_ADJECTIVES.items()},
    "afraid": "fear", "anxious": "nervousness", "bored": "boredom", "calm": "calm", "contempt": "disapproval",
    "doubt": "confusion", "fearful": "fear", "frustrated": "annoyance", "frustration": "annoyance", "happiness": "joy",
    "happy": "joy", "mad": "anger", "scared": "fear", "shame": "embarrassment", "worried": "nervousness",
    "worry": "nervousness",
}  # fmt: skip


def emotion_labels(targets: EmotionTargets, *, names: Sequence[str]) -> np.ndarray:
    """Returns targets (E,) float32 for the head's labels `names`: 1 for present, 0 for absent, or unknown.

    - `emotions` are complete: every other label of their label set is 0.
    - A class ("happiness") maps to one emotion (joy). Emotions of the same class (amusement, relief, ...) are unknown,
      all others are 0.
    - Open labels are treated as classes. If any of them is not a known word, the emotions they do not name are
    unknown.
    """
    if targets.emotions:
        return _of_emotions(targets.emotions, names=names)
    if targets.closed_label is not None:
        return _of_words([targets.closed_label], names=names)
    return _of_words(writable_labels(targets.open_labels), names=names)


def valence_arousal_labels(targets: EmotionTargets) -> np.ndarray:
    """Returns (2,) float32 in -1..1; -100 is unknown."""
    values = (targets.valence, targets.arousal)
    return np.array([UNKNOWN if value is None else value for value in values], np.float32)


def label_ids(id2label: Mapping[int, str]) -> dict[str, int]:
    """Inverts `id2label`."""
    return {label: index for index, label in id2label.items()}


def _of_emotions(emotions: Sequence[str], *, names: Sequence[str]) -> np.ndarray:
    unknown = sorted(set(emotions) - set(names) - set(GOEMOTIONS_TO_CLOSED))
    if unknown:
        raise ValueError(f"emotions has {unknown}; the head's labels are {list(names)}")
    # Labels of the head that are not in GoEmotions are unknown in its annotations.
    annotated = set(GOEMOTIONS_TO_CLOSED) | set(emotions) if set(emotions) <= set(GOEMOTIONS_TO_CLOSED) else set(names)
    return np.array([float(name in emotions) if name in annotated else UNKNOWN for name in names], np.float32)


def _of_words(words: Sequence[str], *, names: Sequence[str]) -> np.ndarray:
    labels = np.full(len(names), UNKNOWN, np.float32)
    emotions = [emotion_of_word(word, names=names) for word in words]
    present = {emotion for emotion in emotions if emotion is not None}
    if not present:
        return labels
    families = {_family(emotion) for emotion in present}
    for column, name in enumerate(names):
        if name in present:
            labels[column] = 1.0
        elif None not in emotions and _family(name) not in families:
            labels[column] = 0.0
    return labels


def emotion_of_word(word: str, *, names: Sequence[str]) -> str | None:
    """Returns the head's label (of `names`) for a class or word of a data set; None if there is none."""
    word = word.lower().strip()
    emotion = word if word in names else EMOTION_OF_WORD.get(word)
    return emotion if emotion in names else None


def _family(emotion: str) -> str:
    """Returns the closed-set class of an emotion; an emotion that is not in GoEmotions is its own class."""
    return GOEMOTIONS_TO_CLOSED.get(emotion, emotion)
