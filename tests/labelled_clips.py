"""Small labelled clips on disk, in the published layouts of the data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_media import moving_squares, tone, write_video, write_wav

CLIP_SECONDS = 2.0
FRAME_RATE = 25.0
FRAMES = round(CLIP_SECONDS * FRAME_RATE)
FACE_SIZE = 24  # px


def place_file(path: Path) -> Path:
    """An empty file, for readers that only look for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_clip(path: Path, *, sound: bool = True, frequency: float = 440.0) -> Path:
    """A two-second video with a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waveform = tone(seconds=CLIP_SECONDS, frequency=frequency) if sound else None
    return write_video(path, moving_squares(count=FRAMES, height=48, width=64), waveform=waveform)


def write_sound(path: Path, *, seconds: float = 1.5) -> Path:
    """A tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_wav(path, tone(seconds=seconds))


def write_faces(path: Path, *, count: int = FRAMES, seed: int = 0) -> np.ndarray:
    """Aligned faces as OpenFace gives them, (count, 24, 24, 3) uint8 BGR, saved; returned as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    faces = np.random.default_rng(seed).integers(1, 255, (count, FACE_SIZE, FACE_SIZE, 3), dtype=np.uint8)
    np.save(path, faces)
    return faces


def write_csv(path: Path, columns: Sequence[str], *rows: Sequence[str]) -> Path:
    """A CSV file in UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def write_label_npz(path: Path, **corpora: dict[str, dict[str, Any]]) -> Path:
    """A `label*.npz` of MERTools: pickled dictionaries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: np.array(table, dtype=object) for name, table in corpora.items()})
    return path


def labelled_record(video: str, *, faces: str | None, number: int = 0) -> dict[str, Any]:
    """A line with every label: two utterances, a micro-expression, action units, an explanation."""
    emotion, words = (("happiness", "at last"), ("sadness", "what a pity"))[number % 2]
    labels = {"happiness": ["happy", "relieved"], "sadness": ["sad"]}[emotion]
    goemotions = {"happiness": ["joy", "relief"], "sadness": ["sadness"]}[emotion]
    felt = {"labels": labels, "emotion": emotion, "goemotions": goemotions, "valence": 0.5 - number % 2}
    explanation = f"Emotions: {', '.join(labels)}.\nReason: the brows move at 0.6 s."
    return {
        "video": video,
        **({"faces": faces} if faces else {}),
        **felt,
        "explanation": explanation,
        "utterances": [
            {"start_seconds": 0.1, "end_seconds": 0.9, "speaker": "Anna", "text": words, **felt},
            {"start_seconds": 1.0, "end_seconds": 1.9, "text": "yes", **felt, "explanation": explanation},
        ],
        "events": [
            {
                "kind": "micro",
                "emotion": emotion,
                "onset_seconds": 0.5,
                "apex_seconds": 0.6,
                "offset_seconds": 0.8,
                "intensity": 0.5,
            }
        ],
        "action_unit_names": ["AU1", "AU4"],
        "frame_times": [0.0, 1.0, 2.0],
        "action_units": [[0.0, 0.0], [1.0, 0.5], [0.0, 0.0]],
    }


def write_labelled_clips(folder: Path, *, count: int = 4) -> Path:
    """Clips with faces and every label; returns the file of JSON lines."""
    lines = []
    for number in range(count):
        write_clip(folder / f"clip{number}.mp4", frequency=300.0 + 100 * number)
        write_faces(folder / f"clip{number}.npy", seed=number)
        lines.append(json.dumps(labelled_record(f"clip{number}.mp4", faces=f"clip{number}.npy", number=number)))
    path = folder / "clips.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
