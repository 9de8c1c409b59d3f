"""Recordings at another speed: pitch and pace move together, by a factor that torch's generator draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from microemo.processing.clip import Clip, Utterance
from microemo.training.voice_variants import check_voice_speed, other_speaker, played

RATE, SECONDS, PITCH = 16_000, 2.0, 200.0


@pytest.fixture
def clip() -> Clip:
    times = np.arange(int(RATE * SECONDS)) / RATE
    tone = 0.5 * np.sin(2 * np.pi * PITCH * times).astype(np.float32)
    return Clip("tone.wav", 1.0, 3.0, (Utterance(1.5, 2.5, "A tone."),), waveform=tone, media_end_seconds=3.0)


def _pitch(waveform: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum)) * RATE / len(waveform)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_pitch_and_pace_move_together(clip, speed):
    heard = played(clip, speed=speed)
    assert len(heard.waveform) / RATE == pytest.approx(SECONDS / speed, abs=1e-3)
    assert heard.waveform.dtype == np.float32
    assert _pitch(heard.waveform) == pytest.approx(PITCH * speed, abs=1.0)
    assert heard.start_seconds == 1.0 and heard.end_seconds == pytest.approx(1 + 2 / speed)
    assert heard.media_end_seconds == heard.end_seconds
    spoken = heard.utterances[0]
    assert (spoken.start_seconds, spoken.end_seconds) == pytest.approx((1 + 0.5 / speed, 1 + 1.5 / speed))
    assert spoken.text == "A tone."


def test_speeds_are_drawn_within_the_spread(clip):
    torch.manual_seed(0)
    speeds = [SECONDS * RATE / len(other_speaker(clip, spread=0.1).waveform) for _ in range(20)]
    assert 0.9 <= min(speeds) < 0.95 and 1.05 < max(speeds) <= 1.1001
    torch.manual_seed(0)
    assert SECONDS * RATE / len(other_speaker(clip, spread=0.1).waveform) == speeds[0]


def test_what_has_pictures_or_no_sound_stays(clip):
    seen = replace(clip, frames=np.zeros((1, 4, 4, 3), np.uint8), frame_times=np.array([1.0]))
    silent = Clip("a.txt", 1.0, 3.0, clip.utterances)
    assert other_speaker(seen, spread=0.2) is seen and other_speaker(silent, spread=0.2) is silent
    assert other_speaker(clip, spread=0.0) is clip


def test_a_spread_that_leaves_no_voice_is_refused():
    check_voice_speed(0.5)
    for spread in (-0.1, 0.6):
        with pytest.raises(ValueError, match=r"voice_speed \(-?0\.\d\) must be in 0\.\.0\.5"):
            check_voice_speed(spread)
