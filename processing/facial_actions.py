"""The 52 facial actions by name, which units of the Facial Action Coding System they are, and a face's own rest.

Names and order are those of MediaPipe's action net, after ARKit's blendshapes. "Left" and "Right" are the person's own
sides, so the left one is on the right of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ACTION_NAMES = (
    "_neutral",  # not used by the net's makers either
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
    """A unit of the Facial Action Coding System and the columns of the 52 that show it; two sides are one unit."""

    number: int
    name: str
    columns: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"AU{self.number}"


def _both(name: str) -> tuple[int, int]:
    return COLUMN[f"{name}Left"], COLUMN[f"{name}Right"]


# What can be told. The columns that are left out are directions of a look (`head_pose.gaze` says it in degrees), or
# hardly ever move, see `DEAD_ACTIONS`.
FACIAL_ACTIONS = (
    FacialAction(1, "inner brow raiser", (COLUMN["browInnerUp"],)),
    FacialAction(2, "outer brow raiser", _both("browOuterUp")),
    FacialAction(4, "brow lowerer", _both("browDown")),
    FacialAction(7, "lid tightener", _both("eyeSquint")),
    FacialAction(10, "upper lip raiser", _both("mouthUpperUp")),
    FacialAction(12, "lip corner puller", _both("mouthSmile")),
    FacialAction(14, "dimpler", _both("mouthDimple")),
    FacialAction(16, "lower lip depressor", _both("mouthLowerDown")),
    FacialAction(17, "chin raiser", (COLUMN["mouthShrugLower"], COLUMN["mouthShrugUpper"])),
    FacialAction(18, "lip pucker", (COLUMN["mouthPucker"],)),
    FacialAction(20, "lip stretcher", _both("mouthStretch")),
    FacialAction(22, "lip funneler", (COLUMN["mouthFunnel"],)),
    FacialAction(24, "lip pressor", _both("mouthPress")),
    FacialAction(26, "jaw drop", (COLUMN["jawOpen"],)),
    FacialAction(28, "lip suck", (COLUMN["mouthRollLower"], COLUMN["mouthRollUpper"])),
    FacialAction(45, "blink", _both("eyeBlink")),
)

# The columns of the face that a mirror shows.
MIRRORED_COLUMNS = tuple(
    COLUMN[name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")] for name in ACTION_NAMES
)

REST_SECONDS = 3.0  # of a face, from which on its own rest is known
REST_QUANTILE = 0.2  # of its values over time: most of the time most of a face is at rest
STEP_SECONDS = 0.2  # more between two measurements is a time in which the face was not seen


def unit_intensities(actions: np.ndarray) -> np.ndarray:
    """(..., 16) by `FACIAL_ACTIONS`, from actions (..., 52)."""
    return np.stack([actions[..., list(unit.columns)].mean(axis=-1) for unit in FACIAL_ACTIONS], axis=-1)


def mirrored_actions(actions: np.ndarray) -> np.ndarray:
    """Actions (..., 52) of the same face in a mirror."""
    return actions[..., list(MIRRORED_COLUMNS)]


def relative_to_rest(actions: np.ndarray, times: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    """(F, 52) float32: how far each action of one person is from that person's rest; zero where it was not measured.

    Args:
        actions: (F, 52) of one track.
        times: (F,) seconds, increasing.
        mask: (F,) bool, where it was measured.
    """
    rest = resting_values(actions, times, mask=mask)
    return np.where(mask[:, None], actions - rest, 0).astype(np.float32)


def resting_values(actions: np.ndarray, times: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    """(52,): the rest of one person's face, from arrays as for `relative_to_rest`.

    A low quantile over time where the face was seen for `REST_SECONDS`, else that of many people. A rest higher than
    that of nineteen calm people in twenty is taken for an expression that lasts, and is cut to theirs.
    """
    if seconds_seen(times[mask]) < REST_SECONDS:
        return USUAL_REST
    return np.minimum(np.quantile(actions[mask], REST_QUANTILE, axis=0), HIGHEST_REST)


def seconds_seen(times: np.ndarray) -> float:
    """How long a face was seen that was measured at `times` (M,) seconds."""
    steps = np.diff(times)
    return float(steps[steps <= STEP_SECONDS].sum())
