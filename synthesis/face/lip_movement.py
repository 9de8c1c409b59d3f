"""Mouth movements of speech, from phoneme times if known, else from loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from microemo.data.action_units import UNIT_INDEX
from microemo.synthesis.face.facial_motion import NUM_MOVEMENTS, SPEECH_SHAPES
from microemo.synthesis.voice.speech import SAMPLING_RATE, Speech

GRID_HZ = 200
LEAD_SECONDS = 0.04  # lips move before the sound
COARTICULATION_SECONDS = 0.035  # standard deviation of the smoothing between neighbouring sounds
ENVELOPE_SECONDS = 0.02
JAW_SHARE = 0.55  # of a full AU26 in the widest vowel
LIPS_SHARE = 0.6


@dataclass(frozen=True)
class MouthShape:
    """Mouth movements of a sound, each in 0..1."""

    jaw: float = 0.0
    lips: float = 0.0
    round: float = 0.0
    press: float = 0.0
    wide: float = 0.0


# By prefix of espeak-ng's mnemonics, longest first.
MOUTH_SHAPES = {
    "tS": MouthShape(0.15, 0.5, round=0.6), "dZ": MouthShape(0.15, 0.5, round=0.6),
    "aU": MouthShape(0.9, 0.7, round=0.4), "oU": MouthShape(0.5, 0.5, round=0.8),
    "aI": MouthShape(0.95, 0.7, wide=0.3), "eI": MouthShape(0.45, 0.6, wide=0.6),
    "a": MouthShape(1.0, 0.7), "A": MouthShape(1.0, 0.7),
    "V": MouthShape(0.75, 0.6), "0": MouthShape(0.8, 0.6, round=0.3),
    "O": MouthShape(0.7, 0.6, round=0.6), "o": MouthShape(0.55, 0.5, round=0.8),
    "E": MouthShape(0.6, 0.6, wide=0.4), "e": MouthShape(0.5, 0.6, wide=0.5),
    "I": MouthShape(0.35, 0.5, wide=0.5), "i": MouthShape(0.25, 0.5, wide=0.9),
    "U": MouthShape(0.3, 0.4, round=0.8), "u": MouthShape(0.25, 0.35, round=1.0),
    "@": MouthShape(0.4, 0.5), "3": MouthShape(0.4, 0.5, round=0.3),
    "w": MouthShape(0.15, 0.3, round=1.0), "r": MouthShape(0.25, 0.4, round=0.5),
    "m": MouthShape(press=1.0), "b": MouthShape(press=1.0),
    "p": MouthShape(press=1.0), "f": MouthShape(0.05, 0.3, press=0.5),
    "v": MouthShape(0.05, 0.3, press=0.5), "S": MouthShape(0.15, 0.5, round=0.7),
    "Z": MouthShape(0.15, 0.5, round=0.7), "s": MouthShape(0.1, 0.6, wide=0.4),
    "z": MouthShape(0.1, 0.6, wide=0.4), "_": MouthShape(),
}  # fmt: skip
OTHER_CONSONANT = MouthShape(0.25, 0.5, wide=0.1)


def mouth_shape(phoneme: str) -> MouthShape:
    """The mouth shape of an espeak-ng phoneme."""
    for length in (2, 1):
        if phoneme[:length] in MOUTH_SHAPES:
            return MOUTH_SHAPES[phoneme[:length]]
    return OTHER_CONSONANT


def loudness_envelope(waveform: np.ndarray) -> np.ndarray:
    """Smoothed amplitude (N,) at `GRID_HZ`, relative to its 95th percentile and clipped to 0..1."""
    step = SAMPLING_RATE // GRID_HZ
    padded = np.pad(waveform, (0, -len(waveform) % step)).reshape(-1, step)
    amplitude = gaussian_filter1d(np.sqrt((padded.astype(np.float64) ** 2).mean(1)), ENVELOPE_SECONDS * GRID_HZ)
    return np.clip(amplitude / max(float(np.percentile(amplitude, 95)), 1e-6), 0, 1)


def mouth_movements(speech: Speech, *, times: np.ndarray, start_seconds: float, loudness: float = 1.0) -> np.ndarray:
    """Mouth movements (F, 21, 2) at times (F,) of the clip; zero in silence.

    Args:
        start_seconds: start of the speech in the clip.
        loudness: factor of the mouth opening.
    """
    envelope = loudness_envelope(speech.waveform)
    track = _from_phonemes(speech, envelope) if speech.phonemes else _from_loudness(envelope)
    track = np.pad(track, ((GRID_HZ // 5, GRID_HZ // 5), (0, 0)))  # the mouth is closed before and after
    track = gaussian_filter1d(track, COARTICULATION_SECONDS * GRID_HZ, axis=0)
    grid = start_seconds - LEAD_SECONDS + (np.arange(len(track)) - GRID_HZ // 5) / GRID_HZ
    shapes = np.stack([np.interp(times, grid, column, left=0, right=0) for column in track.T], 1)  # (F, 5)
    movements = np.zeros((len(times), NUM_MOVEMENTS, 2))
    opening = float(np.clip(loudness, 0.6, 1.4))
    movements[:, UNIT_INDEX[26]] = opening * JAW_SHARE * shapes[:, :1]
    movements[:, UNIT_INDEX[25]] = LIPS_SHARE * shapes[:, 1:2]
    movements[:, -len(SPEECH_SHAPES) :] = shapes[:, 2:, None]
    return movements


def _from_phonemes(speech: Speech, envelope: np.ndarray) -> np.ndarray:
    """Jaw, lips, round, press and wide (N, 5) on the grid."""
    starts = np.array([phoneme.start_seconds for phoneme in speech.phonemes])
    shapes = [mouth_shape(phoneme.name) for phoneme in speech.phonemes]
    table = np.array([(s.jaw, s.lips, s.round, s.press, s.wide) for s in shapes])
    grid = np.arange(len(envelope)) / GRID_HZ
    track = table[np.clip(np.searchsorted(starts, grid, side="right") - 1, 0, len(table) - 1)]
    track[:, :2] *= (0.55 + 0.45 * envelope)[:, None]
    return track


def _from_loudness(envelope: np.ndarray) -> np.ndarray:
    zero = np.zeros_like(envelope)
    return np.stack([envelope**1.2, np.minimum(1, 1.3 * envelope), zero, zero, 0.25 * envelope], 1)
