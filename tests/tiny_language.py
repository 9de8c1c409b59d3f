"""Tiny sources for composed dialogues, with the label sets of microemo-mini."""

from __future__ import annotations

import numpy as np

from microemo import MicroEmoConfig
from microemo.training.language.composition import Composer, WordsSource
from microemo.training.language.sources import FaceSource, VoiceSource

EMOTIONS = tuple(MicroEmoConfig().emotion_id2label.values())
EXPRESSIONS = tuple(MicroEmoConfig().expression_id2label.values())
VOICES = ("neutral", "calm", "joy", "sadness", "anger", "fear", "disgust", "surprise")
WIDTH, TOKENS = 32, 2  # of the tiny model, and of its audio segments


def _likely(labels: tuple[str, ...], label: str, *, probability: float = 0.8) -> np.ndarray:
    """Probabilities with one dominant label."""
    values = np.full(len(labels), (1 - probability) / (len(labels) - 1), np.float32)
    values[labels.index(label)] = probability
    return values


def tiny_composer() -> Composer:
    """One source for each label; words have two labels."""
    said = {
        "joy": "What a day!",
        "anger": "Leave me alone now.",
        "neutral": "It is on the table.",
        "caring": "Mind you.",
    }
    return Composer(
        faces=[FaceSource(_likely(EXPRESSIONS, label), {"AU12": 0.5, "AU4": 0.3}) for label in EXPRESSIONS],
        voices=[VoiceSource(_likely(VOICES, label), ("loud",), 3.0, np.ones((2, TOKENS, WIDTH))) for label in VOICES],
        words=[WordsSource(text, _likely(EMOTIONS, label)) for label, text in said.items()],
        expression_labels=EXPRESSIONS,
        voice_labels=VOICES,
        word_labels=EMOTIONS,
    )
