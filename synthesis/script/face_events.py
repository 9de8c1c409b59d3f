"""Draws the macro-expressions and micro-expressions of utterances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microemo.data.action_units import (
    ACTION_UNITS,
    EMOTIONS,
    MACRO_INTENSITY,
    MACRO_SECONDS,
    MICRO_INTENSITY,
    MICRO_SECONDS,
    ONE_SIDED,
    PROTOTYPES,
    unit_vector,
)
from microemo.processing.clip import Utterance
from microemo.synthesis.script.truth import FaceEvent
from microemo.synthesis.video.performance import PlannedEvent

MICRO_SHARE = 0.5  # of utterances that have a micro-expression
LEAK_SHARE = 0.6  # share of micro-expressions of another emotion than the other channels
MICRO_RISE = (0.3, 0.55)  # share of the duration from onset to apex
MACRO_RISE_SECONDS = (0.25, 0.6)
MACRO_FALL_SECONDS = (0.35, 0.8)
MIN_MICRO_FRAMES = 3  # so that the frames show every labelled micro-expression
ASYMMETRY = 0.2  # largest difference between the sides of a face
WEAK_SIDE = 0.12  # intensity of the other side in a one-sided expression
UPPER_REGIONS, LOWER_REGIONS = frozenset({"brow", "eye"}), frozenset({"nose", "mouth"})
PARTIAL_SHARE = 0.3  # of micro-expressions in the upper or the lower face only (Porter & ten Brinke 2008)
MIN_UNIT_SHARE = 0.05  # units below this share are not listed in the event


@dataclass(frozen=True)
class MicroDraw:
    """A micro-expression. leaks: whether its emotion differs from that of the other channels."""

    planned: PlannedEvent
    leaks: bool


def draw_macro(
    emotion: str, *, utterance: Utterance, intensity: float, clip_seconds: float, rng: np.random.Generator
) -> PlannedEvent:
    """Draws a macro-expression during an utterance."""
    low, high = MACRO_INTENSITY
    strength = low + (high - low) * intensity
    onset = max(0.02, utterance.start_seconds + rng.uniform(-0.15, 0.25))
    rise, fall = rng.uniform(*MACRO_RISE_SECONDS), rng.uniform(*MACRO_FALL_SECONDS)
    desired = utterance.end_seconds + rng.uniform(-0.1, 0.3) - onset
    longest = min(MACRO_SECONDS[1], clip_seconds - 0.02 - onset)
    duration = float(np.clip(desired, min(MACRO_SECONDS[0] + 0.3, longest), longest))
    scale = min(1.0, 0.9 * duration / (rise + fall))
    apex, offset = onset + rise * scale, onset + duration
    hold = max(0.0, offset - apex - fall * scale)
    variants = PROTOTYPES[emotion]
    shares = unit_vector(variants[int(rng.integers(len(variants)))])
    return _plan("macro", emotion, shares=shares, times=(onset, apex, offset), strength=strength, hold=hold, rng=rng)


def draw_micro(
    other_emotion: str, *, utterance: Utterance, frame_times: np.ndarray, rng: np.random.Generator
) -> MicroDraw | None:
    """Draws a micro-expression within an utterance; None if it would be too short for the frame rate.

    Args:
        other_emotion: the emotion of the other channels. If it is neutral, the micro-expression always leaks.
    """
    spacing = float(np.median(np.diff(frame_times)))
    shortest = max(MICRO_SECONDS[0], MIN_MICRO_FRAMES * spacing)
    room = utterance.end_seconds - utterance.start_seconds - 0.2
    longest = min(MICRO_SECONDS[1], room)
    if shortest > longest:
        return None
    leaks = other_emotion == "neutral" or rng.random() < LEAK_SHARE
    different = [emotion for emotion in EMOTIONS if emotion != other_emotion]
    emotion = str(rng.choice(different)) if leaks else other_emotion
    duration = float(rng.uniform(shortest, longest))
    onset = utterance.start_seconds + 0.1 + float(rng.uniform(0, room - duration))
    # The apex is at the time of a frame, so that a frame shows it.
    desired = onset + duration * rng.uniform(*MICRO_RISE)
    apex = float(frame_times[np.argmin(np.abs(frame_times - desired))])
    if not onset < apex < onset + duration:
        return None
    shares = _partial(unit_vector(PROTOTYPES[emotion][0]), rng=rng)
    strength = float(rng.uniform(*MICRO_INTENSITY))
    times = (onset, apex, onset + duration)
    return MicroDraw(_plan("micro", emotion, shares=shares, times=times, strength=strength, hold=0.0, rng=rng), leaks)


def _partial(shares: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Restricts shares (18,) to the upper or the lower face with probability `PARTIAL_SHARE`."""
    if rng.random() >= PARTIAL_SHARE:
        return shares
    regions = UPPER_REGIONS if rng.random() < 0.5 else LOWER_REGIONS
    masked = np.array(
        [share if unit.region in regions else 0.0 for unit, share in zip(ACTION_UNITS, shares, strict=True)]
    )
    return masked.astype(np.float32) if masked.max() >= 0.5 else shares


def _plan(
    kind: str,
    emotion: str,
    *,
    shares: np.ndarray,
    times: tuple[float, float, float],
    strength: float,
    hold: float,
    rng: np.random.Generator,
) -> PlannedEvent:
    shares = np.where(shares > 0, np.clip(shares * rng.uniform(0.85, 1.0, len(shares)), 0, 1), 0)
    shares = shares / shares.max()
    strong = int(rng.integers(2))
    weak_gain = WEAK_SIDE if emotion in ONE_SIDED else 1 - ASYMMETRY * rng.random()
    sides = (1.0, float(weak_gain)) if strong == 0 else (float(weak_gain), 1.0)
    side = ("left", "right")[strong] if emotion in ONE_SIDED else "both"
    units = tuple(unit.label for unit, share in zip(ACTION_UNITS, shares, strict=True) if share >= MIN_UNIT_SHARE)
    onset, apex, offset = (round(time, 4) for time in times)
    event = FaceEvent(kind, emotion, units, onset, apex, offset, round(strength, 4), side)
    return PlannedEvent(event, shares.astype(np.float32), sides, hold_seconds=round(max(hold, 0.0), 4))
