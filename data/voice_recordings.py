"""Recordings whose voice is labelled: acted (RAVDESS, EmoDB), and natural speech of filmed people.

    DATA/ravdess, DATA/emodb           labels.csv beside the recordings, as `public_corpus_readers` reads them
    DATA/faces_in_motion               labels.csv, labels_extra.csv (file, person, start_seconds, end_seconds,
                                       expression, talking) and sources.csv (file, licence, sound) beside the clips

Actors alone teach that a voice at rest is rare. Of people who talk with a neutral face the voice is taken to be
neutral; other expressions say too little of a voice. Clips without a declared licence may be measured on and never
trained on.
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
SHORTEST_SECONDS = 0.8  # of natural speech
LONGEST_SECONDS = 6.0
LEAST_PAUSE_SECONDS = 0.3  # between two stretches of natural speech


@dataclass(frozen=True)
class VoiceRecording:
    """One utterance: waveform (S,) float32 at 16 kHz.

    emotion: one of the voice's labels, "" where it is not known. expression: of the face, "" where there is no
    picture. may_train: whether shipped weights may be trained on it.
    """

    name: str
    corpus: str
    person: str
    waveform: np.ndarray
    emotion: str
    expression: str = ""
    may_train: bool = True


def read_acted(root: Path, *, corpus: str, labels: Sequence[str]) -> Iterator[VoiceRecording]:
    """RAVDESS or EmoDB with all of its people.

    Args:
        labels: of voices; the corpus' words are told by them.
    """
    folder, layout = root / corpus, VOICE_CORPORA[corpus]
    for row in read_csv_rows(folder / "labels.csv", required=("file", layout.person, "emotion")):
        yield VoiceRecording(
            name=row["file"],
            corpus=corpus,
            person=f"{corpus}_{row[layout.person]}",
            waveform=_sound(folder / row["file"]),
            emotion=emotion_of_word(row["emotion"], names=tuple(labels)) or "",
        )


def read_natural(root: Path) -> Iterator[VoiceRecording]:
    """What people say in the clips of `faces_in_motion` that have sound, cut where the face's label changes."""
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
        waveform = _sound(folder / file)
        speech = silero_vad.get_speech_timestamps(
            torch.from_numpy(waveform.copy()),
            detector,
            sampling_rate=SAMPLING_RATE,
            min_silence_duration_ms=round(1000 * LEAST_PAUSE_SECONDS),
            max_speech_duration_s=LONGEST_SECONDS,
            return_seconds=True,
        )
        for row in rows:
            if row["talking"] != "yes":
                continue
            for each in speech:
                start = max(float(row["start_seconds"]), each["start"])
                end = min(float(row["end_seconds"]), each["end"])
                if end - start < SHORTEST_SECONDS:
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
    """The recording at another speed, 2.0 in half the time: pitch, formants and pace as of another speaker.

    Speed perturbation (Ko et al. 2015, "Audio Augmentation for Speech Recognition").
    """
    if speed == 1:
        return recording
    moved = librosa.resample(recording.waveform, orig_sr=SAMPLING_RATE, target_sr=SAMPLING_RATE / speed)
    return replace(recording, waveform=moved)


def _sound(path: Path) -> np.ndarray:
    waveform = read_audio(str(path), sampling_rate=SAMPLING_RATE)
    if waveform is None:
        raise ValueError(f"{path} must have sound")
    return waveform
