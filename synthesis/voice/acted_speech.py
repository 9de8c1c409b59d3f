"""Acted speech recordings: RAVDESS with texts, EmoDB without."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from microemo.synthesis.voice.speech import LEVEL, SAMPLING_RATE, Speech, at_level, trim_silence

# Emotion names in labels.csv -> closed labels.
EMOTION_NAMES = {
    "neutral": "neutral", "calm": "neutral", "happy": "happiness", "happiness": "happiness", "surprise": "surprise",
    "surprised": "surprise", "sad": "sadness", "sadness": "sadness", "angry": "anger", "anger": "anger",
    "disgust": "disgust", "fear": "fear", "fearful": "fear",
}  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """One acted sentence. text: empty if unknown. speaker: the actor, for data splits."""

    path: Path
    emotion: str
    sex: str
    speaker: str
    text: str

    def load(self) -> Speech:
        """Loads the recording at 16 kHz, at the level of synthetic speech."""
        waveform, rate = soundfile.read(self.path, dtype="float32", always_2d=True)
        mono = resample_poly(waveform.mean(1), SAMPLING_RATE, rate).astype(np.float32)
        return Speech(trim_silence(at_level(mono, level=LEVEL)), self.text, source=self.path.name)


def read_recordings(folder: str | Path) -> tuple[Recording, ...]:
    """Reads the recordings of a folder with `labels.csv`: file, actor or speaker, sex, sentence, emotion.

    A sentence without spaces is a code, such as EmoDB's "a01", and not used as text.
    """
    table = Path(folder) / "labels.csv"
    if not table.is_file():
        raise ValueError(f"the folder of recordings ({folder}) must contain labels.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    recordings = []
    for row in rows:
        if row["emotion"] in EMOTION_NAMES:
            sentence = row["sentence"].strip()
            recordings.append(
                Recording(
                    path=Path(folder) / row["file"],
                    emotion=EMOTION_NAMES[row["emotion"]],
                    sex=row["sex"],
                    speaker=f"{Path(folder).name}-{row.get('actor') or row.get('speaker')}",
                    text=sentence if " " in sentence else "",
                )
            )
    if not recordings:
        raise ValueError(f"{table} names no recording with a known emotion")
    return tuple(recordings)
