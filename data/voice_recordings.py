"""Voice recordings with emotion labels: acted speech (RAVDESS, EmoDB) and natural speech from videos.

    DATA/ravdess, DATA/emodb           recordings and labels.csv, see `readers.public_corpora`
    DATA/faces_in_motion               clips, labels.csv, labels_extra.csv (file, person, start_seconds, end_seconds,
                                       expression, talking) and sources.csv (file, licence, sound)

In acted corpora neutral speech is rare. Natural speech with a neutral face is labelled as neutral; with other
expressions the label of the voice is unknown. Clips without a declared licence are used for evaluation only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import librosa
import numpy as np
import silero_vad
import torch

from microemo.data.emotion_targets import emotion_of_word
from microemo.data.readers.label_tables import read_csv_rows
from microemo.data.readers.public_corpora import VOICE_CORPORA
from microemo.processing.audio_reading import read_audio

SAMPLING_RATE = 16_000
NATURAL = "faces_in_motion"
NEUTRAL = "neutral"
NO_LICENCE = "none declared"
MIN_SECONDS = 0.8  # of natural speech
MAX_SECONDS = 6.0
MIN_PAUSE_SECONDS = 0.3  # between two speech segments


@dataclass(frozen=True)
class VoiceRecording:
    """One utterance: waveform (S,) float32 at 16 kHz.

    emotion: a label of the voice, "" if unknown. expression: of the face, "" without video. may_train: whether
    published weights may be trained on it.
    """

    name: str
    corpus: str
    person: str
    waveform: np.ndarray
    emotion: str
    expression: str = ""
    may_train: bool = True


def read_acted(root: Path, *, corpus: str, labels: Sequence[str]) -> Iterator[VoiceRecording]:
    """Reads RAVDESS or EmoDB, all speakers.

    Args:
        labels: labels of the voice head, to which the labels of the corpus are mapped.
    """
    folder, layout = root / corpus, VOICE_CORPORA[corpus]
    for row in read_csv_rows(folder / "labels.csv", required=("file", layout.person, "emotion")):
        yield VoiceRecording(
            name=row["file"],
            corpus=corpus,
            person=f"{corpus}_{row[layout.person]}",
            waveform=_waveform(folder / row["file"]),
            emotion=emotion_of_word(row["emotion"], names=tuple(labels)) or "",
        )


def read_natural(root: Path) -> Iterator[VoiceRecording]:
    """Reads the speech in the clips of `faces_in_motion` with audio, split where the label of the face changes."""
    folder = root / NATURAL
    sources = {
        row["file"]: row for row in read_csv_rows(folder / "sources.csv", required=("file", "licence", "sound"))
    }
    segments: dict[str, list[dict[str, str]]] = {}
    for table in ("labels.csv", "labels_extra.csv"):
        for row in read_csv_rows(folder / table, required=("file", "person", "expression", "talking")):
            segments.setdefault(row["file"], []).append(row)
    detector = silero_vad.load_silero_vad()
    for file, rows in segments.items():
        if sources[file]["sound"] != "yes":
            continue
        waveform = _waveform(folder / file)
        speech = silero_vad.get_speech_timestamps(
            torch.from_numpy(waveform.copy()),
            detector,
            sampling_rate=SAMPLING_RATE,
            min_silence_duration_ms=round(1000 * MIN_PAUSE_SECONDS),
            max_speech_duration_s=MAX_SECONDS,
            return_seconds=True,
        )
        for row in rows:
            if row["talking"] != "yes":
                continue
            for span in speech:
                start = max(float(row["start_seconds"]), span["start"])
                end = min(float(row["end_seconds"]), span["end"])
                if end - start < MIN_SECONDS:
                    continue
                yield VoiceRecording(
                    name=f"{file} {start:.2f}-{end:.2f}",
                    corpus=NATURAL,
                    person=f"{NATURAL}_{row['person']}",
                    waveform=waveform[round(start * SAMPLING_RATE) : round(end * SAMPLING_RATE)],
                    emotion=NEUTRAL if row["expression"] == NEUTRAL else "",
                    expression=row["expression"],
                    may_train=sources[file]["licence"] != NO_LICENCE,
                )


def played(recording: VoiceRecording, *, speed: float) -> VoiceRecording:
    """Returns the recording at another speed (2.0 halves the duration), which also changes pitch and formants.

    Speed perturbation (Ko et al. 2015, "Audio Augmentation for Speech Recognition").
    """
    if speed == 1:
        return recording
    resampled = librosa.resample(recording.waveform, orig_sr=SAMPLING_RATE, target_sr=SAMPLING_RATE / speed)
    return replace(recording, waveform=resampled)


def _waveform(path: Path) -> np.ndarray:
    waveform = read_audio(str(path), sampling_rate=SAMPLING_RATE)
    if waveform is None:
        raise ValueError(f"{path} must have audio")
    return waveform
