"""Voices as if other people spoke: recordings played faster or slower, in place of speakers that a data set lacks.

Speed perturbation (Ko et al. 2015, "Audio Augmentation for Speech Recognition"): pitch, formants and pace move
together. A few actors are otherwise known by heart.
"""

from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import torch

from microemo.processing.clip import Clip

MOST = 0.5  # a voice at half or one and a half times its speed is nobody's


def check_voice_speed(spread: float) -> None:
    """Raises `ValueError` for a spread that leaves no voice."""
    if not 0 <= spread <= MOST:
        raise ValueError(f"voice_speed ({spread}) must be in 0..{MOST}")


def other_speaker(clip: Clip, *, spread: float) -> Clip:
    """The clip played at a speed of 1 - spread to 1 + spread, drawn by torch's generator.

    A clip with pictures stays as it is, whose movements have a speed of their own; so does one without sound.
    """
    if clip.waveform is None or clip.frames is not None or clip.face_crops is not None or spread == 0:
        return clip
    return played(clip, speed=1 + spread * (2 * torch.rand(()).item() - 1))


def played(clip: Clip, *, speed: float) -> Clip:
    """The clip of sound alone at another speed: 2.0 takes half the time."""
    assert clip.waveform is not None
    waveform = librosa.resample(
        np.asarray(clip.waveform, np.float32), orig_sr=clip.sampling_rate, target_sr=clip.sampling_rate / speed
    )

    def moved(seconds: float) -> float:
        return clip.start_seconds + (seconds - clip.start_seconds) / speed

    return replace(
        clip,
        waveform=waveform,
        end_seconds=moved(clip.end_seconds),
        media_end_seconds=None if clip.media_end_seconds is None else moved(clip.media_end_seconds),
        utterances=tuple(
            replace(each, start_seconds=moved(each.start_seconds), end_seconds=moved(each.end_seconds))
            for each in clip.utterances
        ),
    )
