"""A scenario played by a portrait: action units, motion and sound over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from microemo.data.action_units import NUM_UNITS, UNIT_INDEX, IntensityProfile
from microemo.processing.clip import Utterance
from microemo.synthesis.face.facial_motion import NUM_MOVEMENTS
from microemo.synthesis.face.head_pose import NUM_POSE
from microemo.synthesis.face.lip_movement import loudness_envelope, mouth_movements
from microemo.synthesis.face.portrait import Motion, Portrait
from microemo.synthesis.script.truth import FaceEvent
from microemo.synthesis.voice.speech import SAMPLING_RATE, Speech

MASK_SLIPS = 0.6  # share of a lasting expression that gives way at the apex of a micro-expression
BLINK_CLOSE_SECONDS, BLINK_OPEN_SECONDS = 0.07, 0.13
SWAY_HZ = (0.12, 0.31, 0.73)  # the head is never still: slow waves
SWAY_LIMITS = np.array([0.06, 0.04, 0.03, 2.0, 1.5, 0.008])  # as `head_pose.turn_head`: radians, mm, growth
NOD_RADIANS = 0.025  # the head dips with the beats of speech
CAMERA_LIMITS = np.array([0.006, 0.006, 0.006, 0.006])  # as `Motion.camera`: of a hand-held camera


@dataclass(frozen=True)
class PlannedEvent:
    """A face event and how it is drawn: shares (18,) of its intensity; sides (2,) gains on left and right."""

    event: FaceEvent
    shares: np.ndarray
    sides: tuple[float, float] = (1.0, 1.0)
    hold_seconds: float = 0.0

    @property
    def profile(self) -> IntensityProfile:
        event = self.event
        return IntensityProfile(event.onset_seconds, event.apex_seconds, event.offset_seconds, self.hold_seconds)


@dataclass(frozen=True)
class Line:
    """An utterance and its sound. on_screen: whether the person in the picture says it."""

    utterance: Utterance
    speech: Speech
    on_screen: bool = True


@dataclass(frozen=True)
class Performance:
    """What happens in a clip, before anything is drawn.

    frame_times: (F,) float64 seconds. lines: utterances with their speech. blink_times: when the lids begin to close.
    stance and framing: constant parts of the head's pose and of the camera, as in `Motion`. sway: how lively the head
    moves, 0 still, 1 normal. hand_held: how much the camera moves. motion_seed: of both.
    """

    frame_times: np.ndarray
    duration_seconds: float
    lines: tuple[Line, ...]
    events: tuple[PlannedEvent, ...]
    blink_times: tuple[float, ...] = ()
    sway: float = 1.0
    stance: tuple[float, ...] = (0.0,) * NUM_POSE
    framing: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    hand_held: float = 0.0
    motion_seed: tuple[int, ...] = field(default=(0,))

    def movements(self) -> np.ndarray:
        """(F, 21, 2) intensities of every movement on both sides."""
        times = self.frame_times
        leak = np.zeros(len(times))
        for planned in self.events:
            if planned.event.kind == "micro":
                leak = np.maximum(leak, planned.profile(times))
        moved = np.zeros((len(times), NUM_MOVEMENTS, 2))
        for planned in self.events:
            curve = planned.event.intensity * planned.profile(times)
            if planned.event.kind == "macro":
                curve = curve * (1 - MASK_SLIPS * leak)
            units = curve[:, None, None] * planned.shares[None, :, None] * np.array(planned.sides)
            moved[:, :NUM_UNITS] = np.maximum(moved[:, :NUM_UNITS], units)
        for line in self.lines:
            if line.on_screen:
                start = line.utterance.start_seconds
                moved = np.maximum(moved, mouth_movements(line.speech, times=times, start_seconds=start))
        blinks = np.zeros(len(times))
        for start in self.blink_times:
            blinks = np.maximum(blinks, blink_profile(start)(times))
        lids = UNIT_INDEX[43]
        moved[:, lids] = np.maximum(moved[:, lids], blinks[:, None])
        return np.clip(moved, 0.0, 1.0)

    def action_units(self) -> np.ndarray:
        """(F, 18) float32: the stronger side of each unit."""
        return self.movements()[:, :NUM_UNITS].max(2).astype(np.float32)

    def motion(self) -> Motion:
        """The face's and the head's motion."""
        rng = np.random.default_rng(self.motion_seed)
        pose = np.array(self.stance) + self.sway * SWAY_LIMITS * smooth_waves(
            self.frame_times, channels=NUM_POSE, rng=rng
        )
        for line in self.lines:
            if not line.on_screen:
                continue
            beats = loudness_envelope(line.speech.waveform)
            grid = line.utterance.start_seconds + np.linspace(0, line.speech.duration_seconds, len(beats))
            slow = np.convolve(beats, np.hanning(61) / np.hanning(61).sum(), mode="same")
            pose[:, 1] += self.sway * NOD_RADIANS * np.interp(self.frame_times, grid, slow, left=0, right=0)
        camera = np.array(self.framing) + self.hand_held * CAMERA_LIMITS * smooth_waves(
            self.frame_times, channels=4, rng=rng
        )
        return Motion(self.movements(), pose, camera)

    def waveform(self) -> np.ndarray:
        """(S,) float32 mono: the speech alone, in a silent room."""
        samples = np.zeros(round(self.duration_seconds * SAMPLING_RATE), np.float32)
        for line in self.lines:
            start = round(line.utterance.start_seconds * SAMPLING_RATE)
            heard = line.speech.waveform[: len(samples) - start]
            samples[start : start + len(heard)] += heard
        return samples

    def frames(self, portrait: Portrait, *, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB frames of (height, width) = size."""
        return portrait.render(self.motion(), size=size)


def blink_profile(start_seconds: float) -> IntensityProfile:
    """The lids' course in a blink that begins at a time."""
    closed = start_seconds + BLINK_CLOSE_SECONDS
    return IntensityProfile(start_seconds, closed, closed + BLINK_OPEN_SECONDS, hold_seconds=0.02)


def smooth_waves(times: np.ndarray, *, channels: int, rng: np.random.Generator) -> np.ndarray:
    """(F, channels) slow random movement within about -1..1."""
    frequencies = np.array(SWAY_HZ)[:, None] * rng.uniform(0.8, 1.25, (len(SWAY_HZ), channels))
    phases = rng.uniform(0, 2 * np.pi, (len(SWAY_HZ), channels))
    weights = np.array([0.55, 0.3, 0.15])[:, None]
    return (weights * np.sin(2 * np.pi * frequencies * times[:, None, None] + phases)).sum(1)
