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
