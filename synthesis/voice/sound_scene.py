"""Where speech is heard: the room it sounds in and the noise behind it."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from microemo.synthesis.voice.speech import SAMPLING_RATE

NOISE_SLOPES = {"hiss": 0.0, "hum": 1.0, "rumble": 2.0}  # power falls with frequency ** slope
DIRECT_SHARE = 0.5  # how much weaker than the direct sound the echoes begin


def room_response(*, reverberation_seconds: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) impulse response: the direct sound, then noise that falls by 60 dB in the reverberation time."""
    length = max(1, round(reverberation_seconds * SAMPLING_RATE))
    decay = 10 ** (-3 * np.arange(length) / length)
    echoes = rng.standard_normal(length) * decay
    echoes *= DIRECT_SHARE * min(1.0, reverberation_seconds) / max(float(np.sqrt((echoes**2).sum())), 1e-9)
    gap = SAMPLING_RATE // 250  # 4 ms: the first wall
    response = np.concatenate([np.zeros(gap), echoes])
    response[0] = 1.0
    return response


def background_noise(samples: int, *, slope: float, rng: np.random.Generator) -> np.ndarray:
    """(S,) noise of root mean square 1 whose power falls with frequency ** slope."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLING_RATE)
    spectrum *= np.maximum(frequency, 60.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return noise / max(float(np.sqrt((noise**2).mean())), 1e-9)


def in_room(
    waveform: np.ndarray, *, reverberation_seconds: float, noise: str, noise_ratio_db: float, rng: np.random.Generator
) -> np.ndarray:
    """(S,) float32: the waveform in a room, with noise that many dB below the speech's root mean square."""
    if noise not in NOISE_SLOPES:
        raise ValueError(f'noise ("{noise}") must be one of {", ".join(NOISE_SLOPES)}')
    wet = fftconvolve(waveform, room_response(reverberation_seconds=reverberation_seconds, rng=rng))[: len(waveform)]
    active = wet[np.abs(wet) > 1e-3]
    speech_level = float(np.sqrt((active**2).mean())) if len(active) else 0.05
    level = speech_level * 10 ** (-noise_ratio_db / 20)
    mixed = wet + level * background_noise(len(waveform), slope=NOISE_SLOPES[noise], rng=rng)
    return (mixed * min(1.0, 0.98 / max(float(np.abs(mixed).max()), 1e-9))).astype(np.float32)
