"""Voices with parts of the spectrum and short moments hidden, so that no single cue of a speaker is relied on.

SpecAugment (Park et al. 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition"),
without the warp of time: `voice_variants` plays faster and slower instead.
"""

from __future__ import annotations

import torch

MASKS = 2  # of bands, and as many of moments
MOST = 0.5  # of all at once, where two masks may hide everything


def check_voice_masks(share: float) -> None:
    """Raises `ValueError` for a share that leaves no voice."""
    if not 0 <= share <= MOST:
        raise ValueError(f"voice_masks ({share}) must be in 0..{MOST}")


def hide_parts(input_features: torch.Tensor, *, audio_mask: torch.Tensor, share: float) -> torch.Tensor:
    """The features with two bands and two moments of each clip at the clip's mean, drawn by torch's generator.

    Args:
        input_features: (B, W, mel, F) log-mel, or (B, W, F) samples, which have no bands to hide.
        audio_mask: (B, W, F), True where a real sample begins; clips without one stay as they are.
        share: the most that one band (of all mels) or one moment (of a clip's real frames) may take, in 0..`MOST`.
    """
    if share == 0:
        return input_features
    hidden = input_features.clone()
    for row, real in enumerate(audio_mask.bool()):
        count = int(real.sum())
        if count == 0:
            continue
        frames = hidden[row].movedim(-1, 1)  # (W, F) or (W, F, mel)
        voice = frames[real]
        mean = voice.mean()
        for _ in range(MASKS):
            voice[_drawn_span(count, share=share)] = mean
            if voice.ndim == 2:
                voice[:, _drawn_span(voice.shape[1], share=share)] = mean
        frames[real] = voice
    return hidden


def _drawn_span(size: int, *, share: float) -> slice:
    length = int(size * share * torch.rand(()).item())
    start = int(torch.randint(size - length + 1, ()))
    return slice(start, start + length)
