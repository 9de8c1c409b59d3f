"""Room acoustics and background noise."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from microemo.synthesis.voice.speech import SAMPLING_RATE

NOISE_SLOPES = {"hiss": 0.0, "hum": 1.0, "rumble": 2.0}  # power falls with frequency ** slope
ECHO_LEVEL = 0.5  # level of the echoes relative to the direct sound


def room_response(*, reverberation_seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Impulse response (N,): direct sound, then noise that decays by 60 dB in the reverberation time."""
    length = max(1, round(reverberation_seconds * SAMPLING_RATE))
    decay = 10 ** (-3 * np.arange(length) / length)
    echoes = rng.standard_normal(length) * decay
    echoes *= ECHO_LEVEL * min(1.0, reverberation_seconds) / max(float(np.sqrt((echoes**2).sum())), 1e-9)
    gap = SAMPLING_RATE // 250  # 4 ms until the first reflection
    response = np.concatenate([np.zeros(gap), echoes])
    response[0] = 1.0
    return response


def background_noise(samples: int, *, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (S,) of root mean square 1 with power proportional to frequency ** -slope."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLING_RATE)
    spectrum *= np.maximum(frequency, 60.0) ** (-slope / 2)
    noise = np.fft.irfft(spectrum, samples)
    return noise / max(float(np.sqrt((noise**2).mean())), 1e-9)


def in_room(
    waveform: np.ndarray, *, reverberation_seconds: float, noise: str, noise_ratio_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds reverberation, and noise that is `noise_ratio_db` below the root mean square of the speech; float32."""
    if noise not in NOISE_SLOPES:
        raise ValueError(f'noise ("{noise}") must be one of {", ".join(NOISE_SLOPES)}')
    wet = fftconvolve(waveform, room_response(reverberation_seconds=reverberation_seconds, rng=rng))[: len(waveform)]
    active = wet[np.abs(wet) > 1e-3]
    speech_level = float(np.sqrt((active**2).mean())) if len(active) else 0.05
    level = speech_level * 10 ** (-noise_ratio_db / 20)
    mixed = wet + level * background_noise(len(waveform), slope=NOISE_SLOPES[noise], rng=rng)
    return (mixed * min(1.0, 0.98 / max(float(np.abs(mixed).max()), 1e-9))).astype(np.float32)
