"""Speaker embeddings: segments of one person's speech have similar vectors, whatever is said.

waveform --> log mel bands, 100 frames per second, mean subtracted --CAM++--> vector of unit length
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
HOP_SAMPLES = SAMPLING_RATE * 10 // 1000  # from one frame to the next
FOURIER_SAMPLES = 512
MIN_HERTZ = 20
PREEMPHASIS = 0.97
MIN_POWER = 1.1920929e-07  # clips the power before the logarithm; float32's epsilon, as in Kaldi
MIN_SAMPLES = SAMPLING_RATE // 4  # shorter audio is repeated


class VoiceEmbedder(Protocol):
    """Returns a vector of unit length for each segment of speech, as `SpeakerEmbedder`."""

    def embed(self, waveforms: Sequence[np.ndarray]) -> np.ndarray: ...


class SpeakerEmbedder(nn.Module):
    """Computes speaker embeddings. Without `from_pretrained` its weights are random."""

    bands: torch.Tensor
    window: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.net = CAMPlusPlus()
        bands = mel_filter_bank(
            num_frequency_bins=FOURIER_SAMPLES // 2 + 1,
            num_mel_filters=MEL_BANDS,
            min_frequency=MIN_HERTZ,
            max_frequency=SAMPLING_RATE / 2,
            sampling_rate=SAMPLING_RATE,
            norm=None,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )
        self.register_buffer("bands", torch.from_numpy(bands).float(), persistent=False)
        window = torch.hann_window(WINDOW_SAMPLES, periodic=False) ** 0.85  # Kaldi's Povey window
        self.register_buffer("window", window, persistent=False)
        self.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | torch.device = "cpu") -> SpeakerEmbedder:
        """Loads the embedder from a folder; raises `ValueError` if its weights do not match exactly."""
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
        """Returns (N, 192) float32 of unit length for N waveforms, (S,) float32 mono at 16 kHz each."""
        if not waveforms:
            return np.zeros((0, WIDTH), dtype=np.float32)
        vectors = torch.cat([self.net(self.features(waveform)[None]) for waveform in waveforms])
        return nn.functional.normalize(vectors, dim=-1).cpu().numpy()

    def features(self, waveform: np.ndarray) -> torch.Tensor:
        """Returns Kaldi's log mel bands (T, 80) minus their mean over time."""
        if waveform.ndim != 1 or len(waveform) == 0:
            raise ValueError(f"waveform must be mono sound (S,), got shape {waveform.shape}")
        if len(waveform) < MIN_SAMPLES:
            waveform = np.resize(waveform, MIN_SAMPLES)
        sound = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32)).to(self.window.device)
        frames = sound.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES)
        frames = frames - frames.mean(dim=1, keepdim=True)
        previous = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        power = torch.fft.rfft((frames - PREEMPHASIS * previous) * self.window, FOURIER_SAMPLES).abs() ** 2
        levels = (power @ self.bands).clamp(min=MIN_POWER).log()
        return levels - levels.mean(dim=0)
