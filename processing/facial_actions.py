"""The 52 facial actions by name, their FACS action units, and each person's resting face.

Names and order are those of MediaPipe's blendshape network, after ARKit's blendshapes. "Left" and "Right" are the
person's own sides: the left side is on the right of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACTION_NAMES = (
    "_neutral",  # unused by MediaPipe too
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
)
COLUMN = {name: column for column, name in enumerate(ACTION_NAMES)}


@dataclass(frozen=True)
class FacialAction:
    """A FACS action unit and its columns among the 52; both sides form one unit."""

    number: int
    name: str
    columns: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"AU{self.number}"


def _both(name: str) -> tuple[int, int]:
    return COLUMN[f"{name}Left"], COLUMN[f"{name}Right"]


# Outputs that never respond: their 99.9th percentile over 3,130 frames of 71 people, including smiling, angry and
# disgusted faces, is at most 0.01. AU6, AU9, AU29 and AU34 are therefore not reported. AU5 and AU15 are weak but
# informative: 0.13 in surprise against 0.01 in neutral faces, and 0.10 in sadness against less than 0.01.
DEAD_ACTIONS = (
    "_neutral",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "jawForward",
    "noseSneerLeft",
    "noseSneerRight",
)

# The reported units. Not included: unresponsive columns, sideways mouth movements of speech, and gaze direction, which
# `head_pose.gaze` gives in degrees.
FACIAL_ACTIONS = (
    FacialAction(1, "inner brow raiser", (COLUMN["browInnerUp"],)),
    FacialAction(2, "outer brow raiser", _both("browOuterUp")),
    FacialAction(4, "brow lowerer", _both("browDown")),
    FacialAction(5, "upper lid raiser", _both("eyeWide")),
    FacialAction(7, "lid tightener", _both("eyeSquint")),
    FacialAction(10, "upper lip raiser", _both("mouthUpperUp")),
    FacialAction(12, "lip corner puller", _both("mouthSmile")),
    FacialAction(14, "dimpler", _both("mouthDimple")),
    FacialAction(15, "lip corner depressor", _both("mouthFrown")),
    FacialAction(16, "lower lip depressor", _both("mouthLowerDown")),
    FacialAction(17, "chin raiser", (COLUMN["mouthShrugLower"],)),
    FacialAction(18, "lip pucker", (COLUMN["mouthPucker"],)),
    FacialAction(20, "lip stretcher", _both("mouthStretch")),
    FacialAction(22, "lip funneler", (COLUMN["mouthFunnel"],)),
    FacialAction(24, "lip pressor", _both("mouthPress")),
    FacialAction(26, "jaw drop", (COLUMN["jawOpen"],)),
    FacialAction(28, "lip suck", (COLUMN["mouthRollLower"], COLUMN["mouthRollUpper"])),
    FacialAction(45, "blink", _both("eyeBlink")),
)

# Columns of the horizontally flipped face.
MIRRORED_COLUMNS = tuple(
    COLUMN[name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")] for name in ACTION_NAMES
)

REST_SECONDS = 3.0  # of observation, needed to estimate a person's own rest
REST_QUANTILE = 0.2  # of a person's values over time: most of the time most of a face is at rest
STEP_SECONDS = 0.2  # longer steps between measurements do not count as observed time

# The `REST_QUANTILE` of calm faces, silent and talking, in everyday light: median and 95th percentile over 32 people.
# Columns that are not listed are zero.
_CALM_PEOPLE = {
    "browDownLeft": (0.018, 0.490),
    "browDownRight": (0.016, 0.556),
    "browInnerUp": (0.008, 0.228),
    "browOuterUpLeft": (0.028, 0.325),
    "browOuterUpRight": (0.017, 0.181),
    "eyeBlinkLeft": (0.109, 0.213),
    "eyeBlinkRight": (0.077, 0.177),
    "eyeLookDownLeft": (0.146, 0.402),
    "eyeLookDownRight": (0.159, 0.378),
    "eyeLookInLeft": (0.015, 0.085),
    "eyeLookInRight": (0.067, 0.273),
    "eyeLookOutLeft": (0.082, 0.267),
    "eyeLookOutRight": (0.024, 0.070),
    "eyeLookUpLeft": (0.031, 0.106),
    "eyeLookUpRight": (0.026, 0.106),
    "eyeSquintLeft": (0.323, 0.568),
    "eyeSquintRight": (0.270, 0.543),
    "eyeWideLeft": (0.004, 0.020),
    "eyeWideRight": (0.003, 0.021),
    "jawLeft": (0.001, 0.004),
    "jawOpen": (0.017, 0.100),
    "jawRight": (0.000, 0.001),
    "mouthClose": (0.001, 0.015),
    "mouthDimpleLeft": (0.004, 0.079),
    "mouthDimpleRight": (0.007, 0.029),
    "mouthFrownLeft": (0.000, 0.002),
    "mouthFrownRight": (0.000, 0.003),
    "mouthFunnel": (0.002, 0.030),
    "mouthLeft": (0.001, 0.003),
    "mouthLowerDownLeft": (0.001, 0.005),
    "mouthLowerDownRight": (0.001, 0.006),
    "mouthPressLeft": (0.023, 0.077),
    "mouthPressRight": (0.019, 0.097),
    "mouthPucker": (0.002, 0.064),
    "mouthRight": (0.001, 0.006),
    "mouthRollLower": (0.006, 0.051),
    "mouthRollUpper": (0.013, 0.097),
    "mouthShrugLower": (0.001, 0.087),
    "mouthShrugUpper": (0.006, 0.073),
    "mouthSmileLeft": (0.000, 0.068),
    "mouthSmileRight": (0.000, 0.087),
    "mouthStretchLeft": (0.000, 0.013),
    "mouthStretchRight": (0.000, 0.021),
    "mouthUpperUpLeft": (0.000, 0.023),
    "mouthUpperUpRight": (0.000, 0.027),
}
USUAL_REST, HIGHEST_REST = np.array([_CALM_PEOPLE.get(name, (0.0, 0.0)) for name in ACTION_NAMES], np.float32).T


def unit_intensities(actions: np.ndarray) -> np.ndarray:
    """(..., 18) intensities of `FACIAL_ACTIONS` from actions (..., 52): the mean of a unit's columns.

    The mean is less noisy than the maximum: both sides of brows, lids and lips agree (correlation 0.88 to 0.98).
    One-sided
    movements, such as a dimpler, are visible in the 52 actions.
    """
    return np.stack([actions[..., list(unit.columns)].mean(axis=-1) for unit in FACIAL_ACTIONS], axis=-1)


def mirrored_actions(actions: np.ndarray) -> np.ndarray:
    """Actions (..., 52) of the horizontally flipped face."""
    return actions[..., list(MIRRORED_COLUMNS)]


def relative_to_rest(actions: np.ndarray, times: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    """(F, 52) float32: each action relative to the person's rest; zero where not measured.

    Args:
        actions: (F, 52) of one track.
        times: (F,) seconds, increasing.
        mask: (F,) bool, True where measured.
    """
    rest = resting_values(actions, times, mask=mask)
    return np.where(mask[:, None], actions - rest, 0).astype(np.float32)


def resting_values(actions: np.ndarray, times: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    """(52,): the resting face of one person, from arrays as for `relative_to_rest`.

    A low quantile over time if the face was observed for `REST_SECONDS`, else the typical rest. A value above the 95th
    percentile of calm people is treated as a held expression and is clipped.
    """
    if seconds_seen(times[mask]) < REST_SECONDS:
        return USUAL_REST
    return np.minimum(np.quantile(actions[mask], REST_QUANTILE, axis=0), HIGHEST_REST)


def seconds_seen(times: np.ndarray) -> float:
    """Observed time of a face that was measured at `times` (M,) seconds."""
    steps = np.diff(times)
    return float(steps[steps <= STEP_SECONDS].sum())
