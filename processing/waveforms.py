"""Converts audio arrays of any type to float32 in [-1, 1]."""

from __future__ import annotations

import numpy as np

INTEGER_TYPES = ("int8", "int16", "int32")  # audio types; int64 has no defined scale
MAX_PEAK = 4.0  # decoders may overshoot; beyond this the floats are unscaled integers


def float_waveform(waveform: np.ndarray) -> np.ndarray:
    """Converts samples to float32 in [-1, 1], same shape; integers are scaled by their type (int16: by 32768).

    Raises `ValueError` for other types, and for floats that are not finite or are unscaled integers.
    """
    samples = np.asarray(waveform)
    if samples.dtype == np.uint8:  # 8-bit PCM, silence is 128
        return ((samples.astype(np.float32) - 128) / 128).astype(np.float32)
    if samples.dtype in INTEGER_TYPES:
        return (samples / 2.0 ** (8 * samples.dtype.itemsize - 1)).astype(np.float32)
    if samples.dtype.kind != "f":
        raise ValueError(f"waveform must hold floats, int8, int16, int32 or uint8, got {samples.dtype}")
    peak = float(np.max(np.abs(samples))) if samples.size else 0.0
    if not np.isfinite(peak):
        raise ValueError("waveform must be finite, it contains NaN or infinity")
    if peak > MAX_PEAK:
        raise ValueError(
            f"waveform must lie in [-1, 1], its peak is {peak:g}; integers that were cast to {samples.dtype} "
            "have to be divided by the largest value of their type, 32768 for int16"
        )
    return samples.astype(np.float32, copy=False)
