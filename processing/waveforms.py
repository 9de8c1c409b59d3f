"""Sound that comes as an array, of whatever type, as float32 in [-1, 1]."""

from __future__ import annotations

import numpy as np

INTEGERS = ("int8", "int16", "int32")  # of sound; int64 says nothing of the scale
LOUDEST = 4.0  # of a decoder that overshoots; more is a float array with integer values in it


def float_waveform(waveform: np.ndarray) -> np.ndarray:
    """The samples as float32 in [-1, 1], in the shape given; integers are scaled by their type (int16: by 32768).

    Raises `ValueError` for other types, and for floats that are not finite, or so far beyond 1 that they hold unscaled
    integers.
    """
    samples = np.asarray(waveform)
    if samples.dtype == np.uint8:  # 8-bit PCM, whose silence is 128
        return ((samples.astype(np.float32) - 128) / 128).astype(np.float32)
    if samples.dtype in INTEGERS:
        return (samples / 2.0 ** (8 * samples.dtype.itemsize - 1)).astype(np.float32)
    if samples.dtype.kind != "f":
        raise ValueError(f"waveform must hold floats, int8, int16, int32 or uint8, got {samples.dtype}")
    peak = float(np.max(np.abs(samples))) if samples.size else 0.0
    if not np.isfinite(peak):
        raise ValueError("waveform must be finite, it holds NaN or infinity")
    if peak > LOUDEST:
        raise ValueError(
            f"waveform must lie in [-1, 1], its peak is {peak:g}; integers that were cast to {samples.dtype} "
            "have to be divided by the largest value of their type, 32768 for int16"
        )
    return samples.astype(np.float32, copy=False)
