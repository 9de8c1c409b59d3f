"""A photograph that says a recording: lips from the sound, blinks, a head that moves with the voice, an expression."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from microemo.data.action_units import ACTION_UNITS, EMOTIONS, PROTOTYPES, smooth_step, unit_vector
from microemo.processing.clip import Utterance
from microemo.synthesis.face.portrait import Motion
from microemo.synthesis.script.scenario import draw_blinks
from microemo.synthesis.script.truth import FaceEvent
from microemo.synthesis.video.performance import Line, Performance, PlannedEvent
from microemo.synthesis.voice.speech import SAMPLING_RATE, Speech

NEUTRAL = "neutral"
EXPRESSIONS = (NEUTRAL, *EMOTIONS)
# Names that people and the voice's reading use for these.
OTHER_NAMES = {"joy": "happiness", "happy": "happiness", "calm": NEUTRAL, "sad": "sadness", "angry": "anger"}
REST_SECONDS = 0.5  # the head comes out of rest at the beginning, and back to it at the end, in this time
MIN_SECONDS = 1.0
RISE_SECONDS, FALL_SECONDS = 0.5, 0.6  # of the expression
UNITS_OF_SPEECH = (25, 26)  # lips and jaw belong to what is said: an expression that held them open would hide it


@dataclass(frozen=True)
class SpeakingSettings:
    """How a photograph speaks.

    emotion: of `EXPRESSIONS`. intensity: of the expression, 0..1. fps: frames a second. sway: how lively the head
    moves, 0 still, 1 normal. seed: of blinks and movement.
    """

    emotion: str = NEUTRAL
    intensity: float = 0.6
    fps: float = 25.0
    sway: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.emotion not in EXPRESSIONS:
            raise ValueError(f"emotion ({self.emotion!r}) must be one of {', '.join(EXPRESSIONS)}")
        if not 0 < self.intensity <= 1:
            raise ValueError(f"intensity ({self.intensity}) must be above 0 and at most 1")
        if not 10 <= self.fps <= 60:
            raise ValueError(f"fps ({self.fps}) must be between 10 and 60")
        if self.sway < 0:
            raise ValueError(f"sway ({self.sway}) must be >= 0")


def expression_of(name: str) -> str:
    """The expression that a name means ("joy" -> "happiness"); raises `ValueError` where there is none."""
    found = OTHER_NAMES.get(name.lower(), name.lower())
    if found not in EXPRESSIONS:
        raise ValueError(f"emotion ({name!r}) must be one of {', '.join(EXPRESSIONS)}, or {', '.join(OTHER_NAMES)}")
    return found


class SpeakingPerformance(Performance):
    """A performance whose head begins and ends at rest, so that takes can be joined."""

    def motion(self) -> Motion:
        """The face's and the head's motion."""
        moved = super().motion()
        edges = np.minimum(self.frame_times, self.frame_times[-1] - self.frame_times) / REST_SECONDS
        return replace(moved, pose=moved.pose * smooth_step(edges)[:, None])


def speaking_performance(waveform: np.ndarray, *, settings: SpeakingSettings) -> SpeakingPerformance:
    """What the face does while a recording is heard.

    Args:
        waveform: (S,) float32 mono at 16 kHz.

    Raises `ValueError` for a recording that is too short or silent.
    """
    seconds = len(waveform) / SAMPLING_RATE
    if seconds < MIN_SECONDS:
        raise ValueError(f"audio ({seconds:.2f} s) must last at least {MIN_SECONDS:g} s")
    if not np.abs(waveform).max() > 0:
        raise ValueError("audio must hold sound, but is silent throughout")
    frame_times = np.arange(int(seconds * settings.fps)) / settings.fps
    whole = Utterance(0.0, seconds)
    end = float(frame_times[-1])
    events = () if settings.emotion == NEUTRAL else (_expression(end, settings=settings),)
    rng = np.random.default_rng(settings.seed)
    return SpeakingPerformance(
        frame_times=frame_times,
        duration_seconds=seconds,
        lines=(Line(whole, Speech(waveform, "", source="recording")),),
        events=events,
        blink_times=draw_blinks(end, events=events, rng=rng),
        sway=settings.sway,
        motion_seed=(settings.seed,),
    )


def _expression(end: float, *, settings: SpeakingSettings) -> PlannedEvent:
    """One expression from the first frame to the last, at rest in both."""
    scale = min(1.0, 0.9 * end / (RISE_SECONDS + FALL_SECONDS))
    apex = RISE_SECONDS * scale
    hold = end - apex - FALL_SECONDS * scale
    prototype = PROTOTYPES[settings.emotion][0]
    shares = unit_vector({unit: share for unit, share in prototype.items() if unit not in UNITS_OF_SPEECH})
    units = tuple(unit.label for unit, share in zip(ACTION_UNITS, shares, strict=True) if share > 0)
    event = FaceEvent("macro", settings.emotion, units, 0.0, apex, end, settings.intensity)
    return PlannedEvent(event, shares, hold_seconds=hold)
