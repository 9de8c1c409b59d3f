"""The interior of an open mouth: teeth of the photograph if visible, else painted ones.

The layer moves with the skull; the lips move over it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from microemo.synthesis.face import face_mesh
from microemo.synthesis.face.face_mesh import FaceFrame

CAVITY_RGB = np.array([34.0, 15.0, 15.0])
TONGUE_RGB = np.array([92.0, 46.0, 47.0])
LUMA = np.array([0.299, 0.587, 0.114])
COLOURFUL = 0.25  # RGB spread relative to brightness of skin in a colour photograph; lower values grey the mouth
TEETH_EDGE_MM = 1.2  # lower edge of the upper teeth below the line of resting lips
TEETH_HEIGHT_MM = 9.0
TEETH_HALF_WIDTH_MM = 21.0
TOOTH_MM = 7.5
LAYER_MM = (36.0, 34.0)  # half width and height of the painted region
OPEN_MOUTH_MM = 2.0  # with a larger lip gap, the photograph shows teeth


def paint_interior(picture: np.ndarray, *, points: np.ndarray, frame: FaceFrame) -> np.ndarray:
    """Returns the picture (H, W, 3) uint8 with the interior of an open mouth painted at the mouth.

    Args:
        picture: (H, W, 3) uint8 RGB.
        points: (468, 2) pixels.
    """
    upper, lower = points[list(face_mesh.UPPER_LIP_INNER)], points[list(face_mesh.LOWER_LIP_INNER)]
    line = (upper.mean(0) + lower.mean(0)) / 2
    painted = _paint(picture, centre=line, frame=frame, colours=mouth_colours(picture, points=points))
    gap_mm = float(np.linalg.norm(lower[4] - upper[4])) / frame.pixels_per_mm
    if gap_mm < OPEN_MOUTH_MM:
        return painted
    visible: np.ndarray = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(visible, [np.round(points[list(face_mesh.MOUTH_LOOP)] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    # Eroded, so that only teeth of the photograph are used and not lips.
    steps = max(1, round(0.6 * frame.pixels_per_mm))
    visible = cv2.erode(visible, np.ones((2 * steps + 1, 2 * steps + 1), np.uint8))
    alpha = cv2.GaussianBlur(visible, (0, 0), 0.8 * steps)[..., None] / 255.0
    return (picture * alpha + painted * (1 - alpha)).astype(np.uint8)


@dataclass(frozen=True)
class MouthColours:
    """RGB (3,) of teeth, tongue and cavity in the light of a photograph."""

    teeth: np.ndarray
    tongue: np.ndarray
    cavity: np.ndarray


def mouth_colours(picture: np.ndarray, *, points: np.ndarray) -> MouthColours:
    """Colours for the brightness of the cheeks and the colourfulness of the photograph."""
    cheeks = np.round(points[[50, 101, 280, 330]]).astype(int)
    height, width = picture.shape[:2]
    samples = picture[np.clip(cheeks[:, 1], 0, height - 1), np.clip(cheeks[:, 0], 0, width - 1)].astype(np.float64)
    skin = np.median(samples, axis=0)
    light = float(skin @ LUMA)
    colour_share = float(np.clip(np.ptp(skin) / max(light, 1.0) / COLOURFUL, 0, 1))
    bright = light / 150.0
    return MouthColours(
        teeth=np.clip(_greyed((0.55 * light + 75.0) * np.array([1.0, 0.97, 0.91]), colour_share), 0, 235),
        tongue=np.clip(bright * _greyed(TONGUE_RGB, colour_share), 0, 255),
        cavity=np.clip(bright * _greyed(CAVITY_RGB, colour_share), 0, 255),
    )


def _greyed(colour: np.ndarray, share: float) -> np.ndarray:
    return share * colour + (1 - share) * float(colour @ LUMA)


def _paint(picture: np.ndarray, *, centre: np.ndarray, frame: FaceFrame, colours: MouthColours) -> np.ndarray:
    height, width = picture.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    mm = (grid - centre) @ np.linalg.inv(frame.axes)
    x, y = mm[..., 0], mm[..., 1]
    layer = np.broadcast_to(colours.cavity, picture.shape).copy()
    tongue = np.exp(-((x / 15.0) ** 2) - ((y - 17.0) / 6.0) ** 2)[..., None]
    layer += 0.75 * tongue * (colours.tongue - layer)
    # Teeth get shorter and darker to the sides.
    edge = TEETH_EDGE_MM - 0.006 * x**2
    sharp = frame.pixels_per_mm * 1.2
    visibility = 1 / (1 + np.exp(sharp * (y - edge))) / (1 + np.exp(-2 * sharp * (y - edge + TEETH_HEIGHT_MM)))
    shade = np.clip(1 - (x / TEETH_HALF_WIDTH_MM) ** 2, 0, 1) ** 0.7
    gaps = 1 - 0.14 * np.exp(-((((x / TOOTH_MM + 0.5) % 1.0 - 0.5) * TOOTH_MM / 0.7) ** 2))
    teeth = colours.teeth * (shade * gaps)[..., None]
    layer += (visibility * np.minimum(1, 3 * shade))[..., None] * (teeth - layer)
    inside = (np.abs(x) < LAYER_MM[0]) & (np.abs(y) < LAYER_MM[1])
    return np.where(inside[..., None], np.clip(layer, 0, 255), picture).astype(np.uint8)
