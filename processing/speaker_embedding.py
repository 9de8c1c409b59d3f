"""Who speaks, as a vector: pieces of one person's speech lie close together, whatever is said.

waveform --> log mel bands, 100 frames a second, less their mean --CAM++--> vector of unit length
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank

from .campplus import MEL_BANDS, WIDTH, CAMPlusPlus

try:
    from safetensors.torch import load_file
except ImportError:
    load_file = None  # type: ignore[assignment]

WEIGHTS_FILE = "model.safetensors"
SAMPLING_RATE = 16_000
WINDOW_SAMPLES = SAMPLING_RATE * 25 // 1000
STEP_SAMPLES = SAMPLING_RATE * 10 // 1000  # from one frame to the next
FOURIER_SAMPLES = 512
LOWEST_HERTZ = 20
PREEMPHASIS = 0.97
FLOOR = 1.1920929e-07  # of the power, before its logarithm; float32's epsilon, as Kaldi has it
MIN_SAMPLES = SAMPLING_RATE // 4  # less is filled up by repetition


class VoiceEmbedder(Protocol):
    """What makes a vector of unit length of each piece of speech; `SpeakerEmbedder` is one."""

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray: ...


class SpeakerEmbedder(nn.Module):
    """Makes an embedding of each piece of sound. Without `from_pretrained` its weights are random."""

    bands: torch.Tensor
    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = CAMPlusPlus()
        bands = mel_filter_bank(
            num_frequency_bins=FOURIER_SAMPLES // 2 + 1,
            num_mel_filters=MEL_BANDS,
            min_frequency=LOWEST_HERTZ,
            max_frequency=SAMPLING_RATE / 2,
            sampling_rate=SAMPLING_RATE,
            norm=None,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        self.register_buffer("bands", torch.from_numpy(bands).float(), persistent=False)
        window = torch.hann_window(WINDOW_SAMPLES, periodic=False) ** 0.85  # Povey's, of Kaldi
        self.register_buffer("window", window, persistent=False)
        self.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | torch.device = "cpu") -> SpeakerEmbedder:
        """Returns the embedder of a folder; raises `ValueError` where its weights do not fit exactly."""
        if load_file is None:
            raise ImportError("speaker embedding needs the package safetensors")
        embedder = cls()
        path = Path(folder, WEIGHTS_FILE)
        try:
            embedder.net.load_state_dict(load_file(path), strict=True)
        except RuntimeError as error:
            raise ValueError(f"{path} does not hold the weights of the speaker embedder: {error}") from error
        return embedder.to(device)

    @torch.inference_mode()
    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Returns (N, 192) float32 of unit length for N pieces of sound, (S,) float32 mono at 16 kHz each."""
        if not waveforms:
            return np.zeros((0, WIDTH), dtype=np.float32)
        vectors = torch.cat([self.net(self.features(waveform)[None]) for waveform in waveforms])
        return nn.functional.normalize(vectors, dim=-1).cpu().numpy()

    def features(self, waveform: np.ndarray) -> torch.Tensor:
        """Returns Kaldi's log mel bands (T, 80) less their mean over time."""
        if waveform.ndim != 1 or len(waveform) == 0:
            raise ValueError(f"waveform must be mono sound (S,), got shape {waveform.shape}")
        if len(waveform) < MIN_SAMPLES:
            waveform = np.resize(waveform, MIN_SAMPLES)
        sound = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)).to(self.window.device)
        frames = sound.unfold(0, WINDOW_SAMPLES, STEP_SAMPLES)
        frames = frames - frames.mean(dim=1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        power = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window, FOURIER_SAMPLES).abs() ** 2
        levels = (power @ self.bands).clamp(min=FLOOR).log()
        return levels - levels.mean(dim=0)
