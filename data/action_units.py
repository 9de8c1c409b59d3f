"""Facial action units of emotions: definitions, prototypical combinations per emotion, and intensity over time.

Numbers, muscles and appearance follow Ekman, Friesen & Hager, "Facial Action Coding System" (2002). Combinations per
emotion follow EMFACS (Friesen & Ekman 1983) as tabulated by Matsumoto & Ekman, "Facial expression analysis",
Scholarpedia 3(5):4237 (2008), and for contempt Matsumoto & Ekman, J. Pers. Soc. Psychol. 87 (2004): one-sided 14 or
12. Durations: a micro-expression lasts at most 0.5 s in all (Yan et al., "How fast are the leaked facial expressions",
J. Nonverbal Behav. 37, 2013: onset to apex up to 0.26 s); a macro-expression 0.5-4 s (Ekman, "Emotions Revealed",
2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MICRO_SECONDS = (0.07, 0.5)  # shortest and longest total duration
MACRO_SECONDS = (0.6, 4.0)
MICRO_INTENSITY = (0.3, 0.65)  # relative to the full movement of the unit
MACRO_INTENSITY = (0.5, 1.0)


@dataclass(frozen=True)
class ActionUnit:
    """One unit of the Facial Action Coding System."""

    number: int
    name: str
    muscles: str
    region: str

    @property
    def label(self) -> str:
        return f"AU{self.number}"


ACTION_UNITS = (
    ActionUnit(1, "inner brow raiser", "frontalis, pars medialis", "brow"),
    ActionUnit(2, "outer brow raiser", "frontalis, pars lateralis", "brow"),
    ActionUnit(4, "brow lowerer", "corrugator and depressor supercilii", "brow"),
    ActionUnit(5, "upper lid raiser", "levator palpebrae superioris", "eye"),
    ActionUnit(6, "cheek raiser", "orbicularis oculi, pars orbitalis", "eye"),
    ActionUnit(7, "lid tightener", "orbicularis oculi, pars palpebralis", "eye"),
    ActionUnit(9, "nose wrinkler", "levator labii superioris alaeque nasi", "nose"),
    ActionUnit(10, "upper lip raiser", "levator labii superioris", "mouth"),
    ActionUnit(12, "lip corner puller", "zygomaticus major", "mouth"),
    ActionUnit(14, "dimpler", "buccinator", "mouth"),
    ActionUnit(15, "lip corner depressor", "depressor anguli oris", "mouth"),
    ActionUnit(17, "chin raiser", "mentalis", "mouth"),
    ActionUnit(20, "lip stretcher", "risorius, platysma", "mouth"),
    ActionUnit(23, "lip tightener", "orbicularis oris", "mouth"),
    ActionUnit(24, "lip pressor", "orbicularis oris", "mouth"),
    ActionUnit(25, "lips part", "depressor labii, relaxed mentalis", "mouth"),
    ActionUnit(26, "jaw drop", "masseter relaxed, internal pterygoid", "mouth"),
    ActionUnit(43, "eyes closed", "levator palpebrae superioris relaxed", "eye"),
)
LABELS = tuple(unit.label for unit in ACTION_UNITS)
UNIT_INDEX = {unit.number: index for index, unit in enumerate(ACTION_UNITS)}
NUM_UNITS = len(ACTION_UNITS)

# Emotion -> variants; a variant maps unit -> share of the event's intensity. The first variant is the full prototype.
PROTOTYPES: dict[str, tuple[dict[int, float], ...]] = {
    "happiness": ({6: 1.0, 12: 1.0}, {6: 0.8, 12: 1.0, 25: 0.7}, {6: 0.5, 7: 0.4, 12: 1.0}),
    "surprise": (
        {1: 1.0, 2: 1.0, 5: 0.9, 25: 0.6, 26: 0.6},
        {1: 1.0, 2: 1.0, 5: 0.7},
        {1: 0.8, 2: 0.8, 25: 0.7, 26: 0.7},
    ),
    "sadness": ({1: 1.0, 4: 0.6, 15: 1.0}, {1: 0.9, 4: 0.6, 15: 0.8, 17: 0.7}, {1: 0.8, 15: 1.0, 17: 0.5}),
    "anger": ({4: 1.0, 5: 0.6, 7: 0.8, 23: 0.8}, {4: 1.0, 7: 0.8, 24: 0.9}, {4: 0.9, 7: 0.7, 17: 0.5, 24: 0.7}),
    "disgust": ({9: 1.0, 10: 0.7}, {9: 0.9, 10: 0.8, 17: 0.5}, {4: 0.4, 9: 0.7, 10: 1.0, 25: 0.5}),
    "fear": (
        {1: 1.0, 2: 0.8, 4: 0.7, 5: 0.9, 20: 0.8, 25: 0.5},
        {1: 0.9, 2: 0.6, 4: 0.7, 5: 0.9},
        {5: 0.8, 20: 1.0, 25: 0.6},
    ),
    "contempt": ({14: 1.0}, {12: 0.5, 14: 0.8}),
}  # fmt: skip
EMOTIONS = tuple(PROTOTYPES)
ONE_SIDED = frozenset({"contempt"})


def unit_vector(variant: dict[int, float]) -> np.ndarray:
    """Returns the shares of a variant, (18,) float32, in the order of `ACTION_UNITS`."""
    vector = np.zeros(NUM_UNITS, np.float32)
    for number, share in variant.items():
        vector[UNIT_INDEX[number]] = share
    return vector


def smooth_step(position: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 at 0 to 1 at 1, a model of muscle movement (Flash & Hogan 1985)."""
    x = np.clip(position, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


@dataclass(frozen=True)
class IntensityProfile:
    """Rise, hold and fall of one event, in seconds. The intensity is zero before the onset and after the offset.

        1        ______
                /      \\
        0 _____/        \\____
             onset apex   offset        (apex: the moment of full intensity; held for `hold_seconds`)
    """

    onset_seconds: float
    apex_seconds: float
    offset_seconds: float
    hold_seconds: float = 0.0

    def __post_init__(self) -> None:
        if not self.onset_seconds < self.apex_seconds < self.offset_seconds:
            raise ValueError(
                f"onset ({self.onset_seconds}), apex ({self.apex_seconds}) and offset ({self.offset_seconds}) must "
                "increase"
            )
        if not 0 <= self.hold_seconds < self.offset_seconds - self.apex_seconds:
            raise ValueError(
                f"hold_seconds ({self.hold_seconds}) must be >= 0 and end before the offset, "
                f"{self.offset_seconds - self.apex_seconds:.3f} s after the apex"
            )

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """Returns the intensity (F,) in [0, 1] at times (F,)."""
        rise = (times - self.onset_seconds) / (self.apex_seconds - self.onset_seconds)
        fall_start = self.apex_seconds + self.hold_seconds
        fall = (times - fall_start) / (self.offset_seconds - fall_start)
        return smooth_step(rise) * (1 - smooth_step(fall))
