"""Time embeddings: Fourier features of seconds, an MLP on them, and rotary embeddings by time for attention."""

import math

import torch
from torch import nn

NUM_BANDS = 32
SHORTEST_PERIOD_SECONDS = 0.1
LONGEST_PERIOD_SECONDS = 3600.0


def check_times(name: str, times: torch.Tensor) -> None:
    """Raises `ValueError` for times in half precision, which cannot resolve adjacent frames."""
    if times.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"{name} must be float32 or float64, got {times.dtype}: at 30 seconds bfloat16 rounds to 0.125 s. "
            "Cast the images and the audio, not the times"
        )


def angular_frequencies(
    count: int, *, shortest_seconds: float, longest_seconds: float, device: torch.device
) -> torch.Tensor:
    """Returns (count,) float32 radians per second with logarithmically spaced periods."""
    exponents = torch.linspace(0.0, 1.0, count, dtype=torch.float32, device=device)
    return 2 * math.pi / (shortest_seconds * (longest_seconds / shortest_seconds) ** exponents)


def fourier_features(times: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of times: (...) seconds -> (..., 2 * NUM_BANDS) float32."""
    frequencies = angular_frequencies(
        NUM_BANDS,
        shortest_seconds=SHORTEST_PERIOD_SECONDS,
        longest_seconds=LONGEST_PERIOD_SECONDS,
        device=times.device,
    )
    angles = times.float().unsqueeze(-1) * frequencies
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


class TimeEmbedding(nn.Module):
    """Embeds seconds in the model's width."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.dense = nn.Linear(2 * NUM_BANDS, hidden_size)
        self.activation = nn.GELU()
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(self, times: torch.Tensor) -> torch.Tensor:
        """(...) seconds -> (..., D)."""
        features = fourier_features(times).to(self.dense.weight.dtype)
        return self.output(self.activation(self.dense(features)))


def rotate_by_time(states: torch.Tensor, times: torch.Tensor, *, window_seconds: float) -> torch.Tensor:
    """Rotary embedding: rotates channel pairs by angles proportional to time, so that dot products depend only on time
    differences. Within the window, the slowest pair makes a quarter turn, the fastest four turns.

    Args:
        states: (..., L, d), d even.
        times: seconds, broadcasts to (..., L).
        window_seconds: attention reach to one side.
    """
    half = states.shape[-1] // 2
    frequencies = angular_frequencies(
        half, shortest_seconds=window_seconds / 4, longest_seconds=window_seconds * 4, device=states.device
    )
    angles = times.float().unsqueeze(-1) * frequencies
    sine, cosine = angles.sin().to(states.dtype), angles.cos().to(states.dtype)
    first, second = states[..., :half], states[..., half:]
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
