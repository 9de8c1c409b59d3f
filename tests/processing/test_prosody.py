"""Pitch, loudness, rate and pauses of synthetic sounds."""

import math
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from microemo.processing.audio_reading import resample
from microemo.processing.prosody import Prosody, VoiceTrace, measure_prosody, trace_voices

RATE = 16_000


def voice(hertz: float, *, seconds: float, level: float = 0.1) -> np.ndarray:
    """A buzz similar to a voice: harmonics of decreasing amplitude."""
    times = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * hertz * k * times) / k for k in range(1, 12))
    return (level * harmonics).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def measured(*pieces: np.ndarray) -> Prosody:
    sound = np.concatenate(pieces)
    return measure_prosody(trace_voices(sound, sampling_rate=RATE, spans=[(0.0, len(sound) / RATE)]))[0]


@pytest.mark.parametrize("hertz", [80.0, 120.0, 220.0, 400.0])
def test_pitch_of_a_tone(hertz):
    assert measured(voice(hertz, seconds=1.0)).pitch_hertz == pytest.approx(hertz, rel=0.01)


def test_pitch_is_relative_to_the_speakers_other_utterances():
    sound = np.concatenate([voice(100, seconds=2), voice(200, seconds=1, level=0.2), voice(400, seconds=1)])
    spans = [(0.0, 2.0), (2.0, 3.0), (3.0, 4.0)]
    low, high, other = measure_prosody(
        trace_voices(sound, sampling_rate=RATE, spans=spans), speakers=["one", "one", "another"]
    )
    assert low.pitch_semitones == pytest.approx(0, abs=0.1)
    assert high.pitch_semitones == pytest.approx(12, abs=0.1)
    assert high.loudness_decibels == pytest.approx(20 * math.log10(2), abs=0.7)  # of windows of 3.2 and 6.4 periods
    assert other.pitch_semitones is None and other.loudness_decibels is None, "there is nothing to compare it with"
    assert other.pitch_hertz == pytest.approx(400, rel=0.01)


def test_unknown_speakers_count_as_one():
    sound = np.concatenate([voice(100, seconds=2), voice(200, seconds=1)])
    traces = trace_voices(sound, sampling_rate=RATE, spans=[(0.0, 2.0), (2.0, 3.0)])
    assert measure_prosody(traces)[1].pitch_semitones == pytest.approx(12, abs=0.1)


def test_pitch_range_of_a_glide():
    seconds = 2.0
    times = np.arange(round(seconds * RATE)) / RATE
    octave = 100 * 2 ** (times / seconds)  # one octave upward
    phase = 2 * np.pi * np.cumsum(octave) / RATE
    glide = sum(np.sin(k * phase) / k for k in range(1, 12)).astype(np.float32) * 0.1
    assert measured(glide).pitch_range_semitones == pytest.approx(0.8 * 12, abs=0.5)
    assert measured(voice(150, seconds=2)).pitch_range_semitones == pytest.approx(0, abs=0.1)


def test_syllables_are_counted():
    syllable = voice(150, seconds=0.15) * np.hanning(round(0.15 * RATE)).astype(np.float32)
    prosody = measured(*[syllable] * 10)
    assert prosody.syllables_per_second == pytest.approx(10 / 1.5, abs=0.7)
    assert prosody.pause_share == pytest.approx(0, abs=0.05)


def test_pauses_lie_between_sounds():
    prosody = measured(silence(1), voice(150, seconds=1), silence(0.5), voice(150, seconds=0.5), silence(1))
    assert prosody.longest_pause_seconds == pytest.approx(0.5, abs=0.1)
    assert prosody.pause_share == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(
    "sound",
    [
        silence(1),
        (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32),
        voice(150, seconds=0.03),
        np.full(RATE, np.nan, np.float32),
        np.zeros(0, np.float32),
    ],
    ids=["silence", "noise", "too short", "not a number", "empty"],
)
def test_unmeasurable_values_are_none(sound):
    traces = trace_voices(sound, sampling_rate=RATE, spans=[(0.0, 1.0)])
    assert measure_prosody(traces) == (Prosody(),)


def test_whispered_speech_has_no_pitch():
    whisper = (0.02 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    sound = np.concatenate([voice(120, seconds=1), whisper])
    spoken, whispered = measure_prosody(trace_voices(sound, sampling_rate=RATE, spans=[(0.0, 1.0), (1.0, 2.0)]))
    assert spoken.pitch_hertz == pytest.approx(120, rel=0.01) and whispered.pitch_hertz is None


def test_results_do_not_depend_on_the_sampling_rate():
    sound = voice(180, seconds=1)
    faster = resample(sound, from_rate=RATE, to_rate=44_100)
    traces = trace_voices(faster, sampling_rate=44_100, spans=[(0.0, 1.0)])
    assert measure_prosody(traces)[0].pitch_hertz == pytest.approx(180, rel=0.01)


def test_invalid_arguments_are_refused():
    with pytest.raises(ValueError, match=r"waveform must be \(S,\) mono, got shape \(2, 5\)"):
        trace_voices(np.zeros((2, 5)), sampling_rate=RATE, spans=[])
    with pytest.raises(ValueError, match="sampling_rate must be >= 1000, got 100"):
        trace_voices(np.zeros(5), sampling_rate=100, spans=[])
    with pytest.raises(ValueError, match="speakers has 1 entries for 0 traces"):
        measure_prosody([], speakers=["one"])
    with pytest.raises(ValueError, match="must be"):
        VoiceTrace(np.zeros(3), np.zeros(2))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_speech_at_two_pitches_and_rates(tmp_path):
    sentence = "The quick brown fox jumps over the lazy dog while the children are sitting at the river."

    def spoken(pitch: int, words_a_minute: int) -> np.ndarray:
        file = tmp_path / "speech.wav"
        command = ["espeak-ng", "-v", "en", "-p", str(pitch), "-s", str(words_a_minute), "-w", str(file), sentence]
        subprocess.run(command, check=True)
        samples, rate = soundfile.read(file, dtype="float32")
        return resample(samples, from_rate=rate, to_rate=RATE)

    low, high = measured(spoken(20, 160)), measured(spoken(90, 160))
    assert 70 < low.pitch_hertz < 90 and 145 < high.pitch_hertz < 165
    slow, fast = measured(spoken(50, 120)), measured(spoken(50, 220))
    assert 2.5 < slow.syllables_per_second < 4 < fast.syllables_per_second < 7
