"""Diarisation of recordings of two actors in turn, with the real networks."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import TEST_DATA

from microemo.processing.clip import Utterance
from microemo.processing.speaker_embedding import SpeakerEmbedder
from microemo.processing.speaker_turns import label_speakers
from microemo.processing.speech_recognition import SpeechRecognizer

RATE = 16_000
PAUSE_SECONDS = 0.5
SHORTEST_SECONDS = 1.5  # of an utterance that counts
# Two men, two women, and a man with a woman twice. The clustering constants were chosen on all actors.
PAIRS = [("11", "13"), ("12", "14"), ("15", "16"), ("17", "18")]


def turns_of(folder: Path, actor: str) -> list[np.ndarray]:
    """Four turns of an actor, each of two neutral or calm sentences."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["actor"].zfill(2) == actor]
    chosen = [row["file"] for row in rows if row["emotion"] in ("neutral", "calm")][:8]
    sounds = [soundfile.read(folder / name, dtype="float32")[0] for name in chosen]
    return [np.concatenate(sounds[place : place + 2]) for place in range(0, len(sounds), 2)]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS)
def test_two_actors_in_turn_are_two_speakers(assembled_mini, pair):
    folder = TEST_DATA / "ravdess"
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}")
    embedder = SpeakerEmbedder.from_pretrained(assembled_mini / "speaker_embedding")
    recognizer = SpeechRecognizer.from_pretrained(assembled_mini / "speech_recognition")
    recognizer.voice_embedder = embedder
    pieces, owners, time = [], [], 0.0
    for turn in zip(*(turns_of(folder, actor) for actor in pair), strict=True):
        for actor, sound in zip(pair, turn, strict=True):
            owners.append((time, time + len(sound) / RATE, actor))
            pieces += [sound, np.zeros(round(PAUSE_SECONDS * RATE), np.float32)]
            time = sum(len(piece) for piece in pieces) / RATE
    recording = np.concatenate(pieces)
    spans = [Utterance(start, end, "words") for start, end in recognizer.find_speech(recording)]
    labelled = label_speakers(
        spans, read=lambda start, end: recording[round(start * RATE) : round(end * RATE)], embedder=embedder
    )
    counted = [each for each in labelled if each.end_seconds - each.start_seconds >= SHORTEST_SECONDS]
    truths = [max(owners, key=lambda one, u=each: overlap(one, u))[2] for each in counted]
    assert len(counted) >= 4 and len({each.speaker for each in counted if each.speaker}) == 2
    first = [each.speaker for each, truth in zip(counted, truths, strict=True) if truth == pair[0]]
    predicted = max(set(first), key=first.count)
    right = [(each.speaker == predicted) == (truth == pair[0]) for each, truth in zip(counted, truths, strict=True)]
    assert np.mean(right) >= 0.9


def overlap(owner: tuple[float, float, str], utterance: Utterance) -> float:
    return min(owner[1], utterance.end_seconds) - max(owner[0], utterance.start_seconds)
