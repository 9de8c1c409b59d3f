"""Tone mapping of HDR video (PQ, HLG) to sRGB.

Without it frames look grey and washed out, unlike the model's training data. Light up to `KNEE` of diffuse white is
unchanged; brighter light is compressed smoothly, so that highlights do not clip.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

PQ, HLG = 16, 18  # transfer characteristics of ITU-T H.273
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}
LEVELS = 1 << 12  # of the lookup tables: 12 bits, the most of HDR video; small enough for the CPU cache
SPARE_BITS = 4  # unused bits of a 16-bit channel

PQ_PEAK_NITS = 10_000.0
DIFFUSE_WHITE_NITS = 203.0  # ITU-R BT.2408
HLG_PEAK_NITS = 1_000.0
HLG_SYSTEM_GAMMA = 1.2
# ITU-R BT.2020 -> BT.709 in linear light (BT.2407)
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
BT2020_PRIMARIES = 9  # of ITU-T H.273

KNEE = 0.8  # of diffuse white; light below is unchanged


def colours_of(frame: Any, stream: Any) -> tuple[int, int]:
    """Transfer and primaries (ITU-T H.273) of a PyAV frame; older PyAV versions have them on the stream only."""
    source = frame if hasattr(frame, "color_trc") else stream.codec_context
    return int(source.color_trc), int(source.color_primaries)


def hdr_name(transfer: int) -> str | None:
    """ "PQ" or "HLG" for the transfer characteristic of an HDR frame, None for any other."""
    return HDR_NAMES.get(int(transfer))


def tone_map(picture: np.ndarray, *, transfer: int, primaries: int) -> np.ndarray:
    """Converts an HDR frame (H, W, 3) uint16 RGB in PQ or HLG code values to (H, W, 3) uint8 sRGB.

    Args:
        transfer, primaries: characteristics of ITU-T H.273, as stored in frames.
    """
    # (H * W, 3); 1.0 is diffuse white
    light = np.take(_light_table(int(transfer)), picture >> SPARE_BITS).reshape(-1, 3)
    if int(transfer) == HLG:
        luma = np.maximum(light @ BT2020_LUMA, 1e-6)[:, None]
        light *= luma ** np.float32(HLG_SYSTEM_GAMMA - 1) * np.float32(HLG_PEAK_NITS / DIFFUSE_WHITE_NITS)
    if int(primaries) == BT2020_PRIMARIES:
        light = light @ BT2020_TO_BT709.T
    peak = np.maximum(light.max(axis=1), 1e-6)  # the same for all channels, to preserve hue
    bright = np.flatnonzero(peak > KNEE)
    light[bright] *= (_rolled_off(peak[bright]) / peak[bright])[:, None]
    codes = np.clip(light * np.float32(LEVELS - 1) + np.float32(0.5), 0, LEVELS - 1).astype(np.uint16)
    return np.take(_gamma_table(), codes).reshape(picture.shape)


def _rolled_off(light: np.ndarray) -> np.ndarray:
    """Compresses light above `KNEE`, in units of diffuse white, smoothly to below 1."""
    headroom = 1 - KNEE
    return KNEE + headroom * (light - KNEE) / (light - KNEE + headroom)


@cache
def _light_table(transfer: int) -> np.ndarray:
    """(LEVELS,) float32: light of each code value; for PQ relative to diffuse white, for HLG scene light in [0, 1]."""
    code = np.linspace(0, 1, LEVELS)
    if transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * (PQ_PEAK_NITS / DIFFUSE_WHITE_NITS)
    else:  # ITU-R BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def _gamma_table() -> np.ndarray:
    """(LEVELS,) uint8: sRGB code of linear light."""
    light = np.linspace(0, 1, LEVELS)
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(code * 255).astype(np.uint8)
