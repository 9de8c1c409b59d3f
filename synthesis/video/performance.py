"""The performance of a scenario over time: action units, head motion and audio."""

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

MACRO_REDUCTION = 0.6  # reduction of a macro-expression at the apex of a micro-expression
BLINK_CLOSE_SECONDS, BLINK_OPEN_SECONDS = 0.07, 0.13
SWAY_HZ = (0.12, 0.31, 0.73)  # frequencies of slow head motion
SWAY_LIMITS = np.array([0.06, 0.04, 0.03, 2.0, 1.5, 0.008])  # as in `head_pose.turn_head`: radians, mm, growth
NOD_RADIANS = 0.025  # of nods with the loudness of speech
CAMERA_LIMITS = np.array([0.006, 0.006, 0.006, 0.006])  # of a hand-held camera, as in `Motion.camera`


@dataclass(frozen=True)
class PlannedEvent:
    """A face event with rendering parameters. shares: (18,) of its intensity. sides: gains of left and right."""

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
    """An utterance and its audio. on_screen: whether the person in the picture says it."""

    utterance: Utterance
    speech: Speech
    on_screen: bool = True


@dataclass(frozen=True)
class Performance:
    """The content of a clip over time, before rendering.

    Args:
        frame_times: (F,) float64 seconds.
        lines: utterances with their speech.
        blink_times: start times of blinks.
        sway: amount of head motion: 0 none, 1 normal.
        stance, framing: constant parts of head pose and camera, as in `Motion`.
        hand_held: amount of camera motion.
        motion_seed: of head and camera motion.
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
        """Intensities (F, 21, 2) of every movement on both sides."""
        times = self.frame_times
        micro = np.zeros(len(times))
        for planned in self.events:
            if planned.event.kind == "micro":
                micro = np.maximum(micro, planned.profile(times))
        moved = np.zeros((len(times), NUM_MOVEMENTS, 2))
        for planned in self.events:
            curve = planned.event.intensity * planned.profile(times)
            if planned.event.kind == "macro":
                curve = curve * (1 - MACRO_REDUCTION * micro)
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
        """Intensities (F, 18) float32 of the stronger side of each unit."""
        return self.movements()[:, :NUM_UNITS].max(2).astype(np.float32)

    def motion(self) -> Motion:
        """Motion of face, head and camera."""
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
        """Speech (S,) float32 mono without noise and reverberation."""
        samples = np.zeros(round(self.duration_seconds * SAMPLING_RATE), np.float32)
        for line in self.lines:
            start = round(line.utterance.start_seconds * SAMPLING_RATE)
            speech = line.speech.waveform[: len(samples) - start]
            samples[start : start + len(speech)] += speech
        return samples

    def frames(self, portrait: Portrait, *, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """Renders (H, W, 3) uint8 RGB frames of (height, width) = size."""
        return portrait.render(self.motion(), size=size)


def blink_profile(start_seconds: float) -> IntensityProfile:
    """Intensity profile of AU43 in a blink."""
    closed = start_seconds + BLINK_CLOSE_SECONDS
    return IntensityProfile(start_seconds, closed, closed + BLINK_OPEN_SECONDS, hold_seconds=0.02)


def smooth_waves(times: np.ndarray, *, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Slow random waves (F, channels) within about -1..1."""
    frequencies = np.array(SWAY_HZ)[:, None] * rng.uniform(0.8, 1.25, (len(SWAY_HZ), channels))
    phases = rng.uniform(0, 2 * np.pi, (len(SWAY_HZ), channels))
    weights = np.array([0.55, 0.3, 0.15])[:, None]
    return (weights * np.sin(2 * np.pi * frequencies * times[:, None, None] + phases)).sum(1)
