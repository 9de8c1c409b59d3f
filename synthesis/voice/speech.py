"""Emotional speech: espeak-ng with the prosody of an emotion.

Prosody per emotion follows the cross-study table of Juslin & Laukka, "Communication of emotions in vocal expression
and music performance", Psychol. Bull. 129 (2003), and Scherer, Speech Commun. 40 (2003): anger, fear, happiness and
surprise are fast, high, wide and (but for fear) loud; sadness slow, low, narrow, soft and with pauses; disgust and
contempt slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from microemo.synthesis.voice.espeak import Phoneme, Prosody, speak

SAMPLING_RATE = 16_000
# Clearly different voices. Emotions change their pitch.
VOICES = {
    "female": (
        "en-us+f1",
        "en-us+f2",
        "en-us+f3",
        "en-us+f5",
        "en-gb-x-rp+f2",
        "en-gb-x-rp+f4",
        "en-us+linda",
        "en+f3",
    ),
    "male": (
        "en-us",
        "en-us+m1",
        "en-us+m3",
        "en-us+m7",
        "en-gb-x-rp+m4",
        "en-gb-x-gbclan",
        "en-gb-scotland+m2",
        "en",
    ),
}
LEVEL = 0.08  # root mean square of a normally loud utterance, full scale 1
QUIETEST, LOUDEST = 0.35, 1.8  # loudness factors


@dataclass(frozen=True)
class VoiceTone:
    """Change of a voice by an emotion: factors of rate and loudness, offsets of pitch and range, pauses in 10 ms.

    manner: as `speaking_manner` of `microemo.processing` describes such a voice.
    """

    rate: float
    pitch: int
    pitch_range: int
    loudness: float
    word_gap: int
    manner: tuple[str, ...]


TONES = {
    "neutral": VoiceTone(1.0, 0, 0, 1.0, 0, ()),
    "happiness": VoiceTone(1.12, 14, 28, 1.2, 0, ("high", "lively")),
    "surprise": VoiceTone(1.1, 22, 35, 1.2, 0, ("high", "lively")),
    "sadness": VoiceTone(0.76, -12, -30, 0.6, 6, ("low", "soft", "slow")),
    "anger": VoiceTone(1.18, 4, 20, 1.7, 0, ("loud", "fast")),
    "disgust": VoiceTone(0.85, -10, 8, 0.9, 3, ("low", "slow")),
    "fear": VoiceTone(1.25, 25, 8, 0.8, 0, ("high", "fast")),
    "contempt": VoiceTone(0.84, -8, -8, 0.85, 3, ("low", "slow")),
}


@dataclass(frozen=True)
class Speech:
    """The audio of an utterance.

    Args:
        waveform: (S,) float32 mono at 16 kHz.
        phonemes: empty for recorded speech.
        source: "espeak-ng" or the name of the recording.
    """

    waveform: np.ndarray
    text: str
    phonemes: tuple[Phoneme, ...] = ()
    source: str = "espeak-ng"

    @property
    def duration_seconds(self) -> float:
        return len(self.waveform) / SAMPLING_RATE


def say(text: str, *, emotion: str, voice: str, intensity: float, rng: np.random.Generator) -> Speech:
    """Speaks a text with the prosody of an emotion at an intensity in 0..1 and random variation."""
    if emotion not in TONES:
        raise ValueError(f'emotion ("{emotion}") must be one of {", ".join(TONES)}')
    tone = TONES[emotion]
    rate = 168 * tone.rate**intensity * rng.uniform(0.93, 1.07)
    prosody = Prosody(
        rate=int(np.clip(rate, 90, 280)),
        pitch=int(np.clip(48 + intensity * tone.pitch + rng.integers(-5, 6), 5, 95)),
        pitch_range=int(np.clip(50 + intensity * tone.pitch_range + rng.integers(-6, 7), 3, 99)),
        word_gap=round(intensity * tone.word_gap),
    )
    loudness = float(np.clip(tone.loudness**intensity, QUIETEST, LOUDEST))
    return say_plainly(text, voice=voice, prosody=prosody, loudness=loudness)


def say_plainly(text: str, *, voice: str, prosody: Prosody, loudness: float = 1.0) -> Speech:
    """Speaks a text with a given prosody, at 16 kHz and a normalised level."""
    spoken = speak(text, voice=voice, prosody=prosody)
    waveform = resample_poly(spoken.waveform, SAMPLING_RATE, spoken.sampling_rate).astype(np.float32)
    return Speech(trim_silence(at_level(waveform, level=LEVEL * loudness)), text, spoken.phonemes)


def at_level(waveform: np.ndarray, *, level: float) -> np.ndarray:
    """Scales a waveform to a root mean square over its louder half, which excludes pauses; never clips."""
    power = np.sort(waveform.astype(np.float64) ** 2)
    loud = np.sqrt(power[len(power) // 2 :].mean() / 2) if len(power) else 0.0
    peak = float(np.abs(waveform).max(initial=0.0))
    if loud <= 0:
        return waveform
    return (waveform * min(level / loud, 0.95 / peak)).astype(np.float32)


def trim_silence(waveform: np.ndarray, *, threshold: float = 0.003) -> np.ndarray:
    """Removes silence at the end. The start is kept, as phoneme times refer to it."""
    loud = np.flatnonzero(np.abs(waveform) > threshold)
    return waveform[: loud[-1] + 1] if len(loud) else waveform
