"""Augments clean frames towards real video: light, blur, noise, occlusion, low resolution, compression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from microemo.synthesis.script.truth import FaceEvent

SHARES = {"light": 0.7, "shadow": 0.4, "blur": 0.35, "noise": 0.5, "scale": 0.4, "compression": 0.7, "occlusion": 0.2}
FRAME_JITTER_SHARE = 0.25
FRAME_JITTER = 0.25  # largest jitter as a share of the frame spacing
OCCLUSION_SECONDS = (0.5, 1.5)
EVENT_MARGIN_SECONDS = 0.1  # no occlusion this close to a micro-expression


@dataclass(frozen=True)
class Occlusion:
    """A soft-edged ellipse that moves into the frame and out again. Lengths are in units of the frame side.

    Args:
        centre: (x, y) at its innermost position.
        come_from: (x, y) of its start and end, out of the frame.
        radii: (x, y).
    """

    start_seconds: float
    end_seconds: float
    centre: tuple[float, float]
    come_from: tuple[float, float]
    radii: tuple[float, float]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of all frames of a clip; default values have no effect.

    Args:
        gain, gamma: of brightness.
        tint: factors of R, G, B.
        shadow: darkening of one side, 0..1, in the direction of shadow_angle.
        blur: standard deviation in pixels.
        noise: standard deviation in levels.
        scale: intermediate size relative to the frame.
        jpeg_quality: 0 for no compression.
    """

    gain: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shadow: float = 0.0
    shadow_angle: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    scale: float = 1.0
    jpeg_quality: int = 0
    occlusion: Occlusion | None = None
    noise_seed: tuple[int, ...] = (0,)

    def apply(self, frames: Iterable[np.ndarray], *, frame_times: np.ndarray) -> Iterator[np.ndarray]:
        """Augments frames (H, W, 3) uint8 RGB."""
        rng = np.random.default_rng(self.noise_seed)
        stream = iter(frames)
        first = next(stream)
        curve = self._exposure(first.shape[:2])
        for time, picture in zip(frame_times.tolist(), chain([first], stream), strict=True):
            if self.occlusion is not None:
                picture = occlude(picture, occlusion=self.occlusion, time=time)
            lit: np.ndarray = 255.0 * (picture.astype(np.float32) / 255.0) ** self.gamma * curve
            if self.blur > 0:
                lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), self.blur))
            if self.noise > 0:
                lit += self.noise * rng.standard_normal(lit.shape, np.float32)
            yield self._store(np.clip(lit + 0.5, 0, 255).astype(np.uint8))

    def _exposure(self, size: tuple[int, int]) -> np.ndarray:
        """Factors (H, W, 3) float32 of light, shadow and tint."""
        y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
        side = 0.5 + 0.5 * (np.cos(self.shadow_angle) * x + np.sin(self.shadow_angle) * y) / np.sqrt(2)
        light = self.gain * (1 - self.shadow * side)
        return (light[..., None] * np.array(self.tint)).astype(np.float32)

    def _store(self, frame: np.ndarray) -> np.ndarray:
        """Applies scaling and JPEG compression."""
        height, width = frame.shape[:2]
        if self.scale < 1:
            small = (max(8, round(width * self.scale)), max(8, round(height * self.scale)))
            frame = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        if self.jpeg_quality:
            _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
            frame = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        if self.scale < 1:
            frame = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
        return frame

    def describe(self) -> tuple[str, ...]:
        """Descriptions of the applied augmentations, for the ground truth."""
        parts = []
        if (self.gain, self.gamma) != (1.0, 1.0):
            parts.append(f"light: gain {self.gain:.2f}, gamma {self.gamma:.2f}")
        if self.shadow > 0:
            parts.append(f"shadow: {self.shadow:.2f}")
        if self.blur > 0:
            parts.append(f"blur: {self.blur:.2f} px")
        if self.noise > 0:
            parts.append(f"noise: {self.noise:.1f} levels")
        if self.scale < 1:
            parts.append(f"scale: {self.scale:.2f}")
        if self.jpeg_quality:
            parts.append(f"compression: JPEG {self.jpeg_quality}")
        if self.occlusion is not None:
            parts.append(f"occlusion: {self.occlusion.start_seconds:.2f}-{self.occlusion.end_seconds:.2f} s")
        return tuple(parts)


def draw_augmentation(
    *, duration_seconds: float, events: tuple[FaceEvent, ...], noise_seed: tuple[int, ...], rng: np.random.Generator
) -> Augmentation:
    """Draws random augmentations. There is no occlusion during micro-expressions, which it could hide."""
    done = {name: bool(rng.random() < share) for name, share in SHARES.items()}
    tint = rng.uniform(0.94, 1.06, 3) if done["light"] else np.ones(3)
    occlusion = None
    if done["occlusion"]:
        occlusion = _draw_occlusion(duration_seconds, events, rng)
    return Augmentation(
        gain=float(rng.uniform(0.65, 1.25)) if done["light"] else 1.0,
        gamma=float(rng.uniform(0.8, 1.3)) if done["light"] else 1.0,
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        shadow=float(rng.uniform(0.1, 0.5)) if done["shadow"] else 0.0,
        shadow_angle=float(rng.uniform(0, 2 * np.pi)),
        blur=float(rng.uniform(0.3, 1.2)) if done["blur"] else 0.0,
        noise=float(rng.uniform(1.0, 7.0)) if done["noise"] else 0.0,
        scale=float(rng.uniform(0.5, 0.95)) if done["scale"] else 1.0,
        jpeg_quality=int(rng.integers(35, 90)) if done["compression"] else 0,
        occlusion=occlusion,
        noise_seed=noise_seed,
    )


def _draw_occlusion(
    duration_seconds: float, events: tuple[FaceEvent, ...], rng: np.random.Generator
) -> Occlusion | None:
    length = float(min(rng.uniform(*OCCLUSION_SECONDS), duration_seconds))
    start = float(rng.uniform(0, duration_seconds - length))
    end = start + length
    for event in events:
        near = start < event.offset_seconds + EVENT_MARGIN_SECONDS and end > event.onset_seconds - EVENT_MARGIN_SECONDS
        if event.kind == "micro" and near:
            return None
    side = float(rng.choice([-1.0, 1.0]))
    from_below = bool(rng.random() < 0.5)
    centre = (0.5 + side * float(rng.uniform(0.0, 0.2)), float(rng.uniform(0.72, 0.85)))
    if not from_below:
        centre = (0.5 + side * float(rng.uniform(0.2, 0.32)), float(rng.uniform(0.5, 0.7)))
    red, green, blue = rng.uniform(30, 210, 3).tolist()
    return Occlusion(
        start_seconds=start,
        end_seconds=end,
        centre=centre,
        come_from=(centre[0], 1.5) if from_below else (0.5 + 1.1 * side, centre[1]),
        radii=(float(rng.uniform(0.06, 0.14)), float(rng.uniform(0.08, 0.2))),
        colour=(red, green, blue),
    )


def occlude(frame: np.ndarray, *, occlusion: Occlusion, time: float) -> np.ndarray:
    """Draws the occluding object into a frame (H, W, 3) uint8 at its position at `time`."""
    if not occlusion.start_seconds <= time <= occlusion.end_seconds:
        return frame
    progress = (time - occlusion.start_seconds) / (occlusion.end_seconds - occlusion.start_seconds)
    nearness = float(np.clip(3 * min(progress, 1 - progress), 0, 1))  # moves in and out for a third of the time each
    height, width = frame.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = [far + nearness * (near - far) for near, far in zip(occlusion.centre, occlusion.come_from, strict=True)]
    radius = np.hypot((x / width - middle[0]) / occlusion.radii[0], (y / height - middle[1]) / occlusion.radii[1])
    alpha = np.clip((1.0 - radius) / 0.08, 0, 1)[..., None]
    shaded = np.array(occlusion.colour, np.float32) * (1.1 - 0.4 * radius[..., None])
    return (frame + alpha * (np.clip(shaded, 0, 255) - frame)).astype(np.uint8)


def jitter_times(frame_times: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Adds jitter to frame times (F,); the first time and the order are kept."""
    spacing = float(np.median(np.diff(frame_times))) if len(frame_times) > 1 else 0.0
    moved = frame_times + rng.uniform(-FRAME_JITTER, FRAME_JITTER, len(frame_times)) * spacing
    moved[0] = frame_times[0]
    return np.round(moved, 4)
