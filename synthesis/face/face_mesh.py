"""The 468 points of a face and the triangles between them.

Point numbers are those of MediaPipe's face mesh. "Left" and "right" mean the sides of the picture throughout.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

NUM_POINTS = 468
INPUT_SIZE = 192  # px, the net's square input
ROI_PER_EYE_MOUTH = (
    3.6  # side of the net's view over the distance eyes - mouth: the face oval x 1.5, as it was trained
)
REFINEMENTS = 2  # the second pass uses the region of interest from the points of the first one

CANTHAL_MM = 90.0  # distance between the outer corners of the eyes of an average adult; sets millimetres per pixel

# Each list runs from the left to the right of the picture.
LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS = (33, 133), (362, 263)
LEFT_EYE_UPPER, LEFT_EYE_LOWER = (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)
RIGHT_EYE_UPPER, RIGHT_EYE_LOWER = (398, 384, 385, 386, 387, 388, 466), (382, 381, 380, 374, 373, 390, 249)
MOUTH_CORNERS = (61, 291)
INNER_MOUTH_CORNERS = (78, 308)
# Rows of the lips from the inner edge outwards; entries of one column lie above each other.
UPPER_LIP_ROWS = (
    (191, 80, 81, 82, 13, 312, 311, 310, 415),
    (183, 42, 41, 38, 12, 268, 271, 272, 407),
    (184, 74, 73, 72, 11, 302, 303, 304, 408),
    (185, 40, 39, 37, 0, 267, 269, 270, 409),
)
LOWER_LIP_ROWS = (
    (95, 88, 178, 87, 14, 317, 402, 318, 324),
    (96, 89, 179, 86, 15, 316, 403, 319, 325),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (146, 91, 181, 84, 17, 314, 405, 321, 375),
)
UPPER_LIP_INNER, LOWER_LIP_INNER = UPPER_LIP_ROWS[0], LOWER_LIP_ROWS[0]
UPPER_LIP, LOWER_LIP = sum(UPPER_LIP_ROWS, ()), sum(LOWER_LIP_ROWS, ())
CORNER_COLUMNS = ((61, 76, 62, 78), (291, 306, 292, 308))  # outer to inner, at the two corners of the mouth

# The three openings of the mesh as closed loops: upper edge left to right, then the lower edge back.
LEFT_EYE_LOOP = (33, *LEFT_EYE_UPPER, 133, *reversed(LEFT_EYE_LOWER))
RIGHT_EYE_LOOP = (362, *RIGHT_EYE_UPPER, 263, *reversed(RIGHT_EYE_LOWER))
MOUTH_LOOP = (78, *UPPER_LIP_INNER, 308, *reversed(LOWER_LIP_INNER))


@dataclass(frozen=True)
class Topology:
    """Constants of the mesh that are the same for all faces.

    triangles: (852, 3) int point numbers, the skin with holes at the eyes and the mouth. mirror: (468,) int, the point
    on the other side. oval: (36,) int, the outline in order. neutral_shape: (468, 3) float32 mm, the average neutral
    face, x to the right, y down, z away from the camera, origin between the outer corners of the eyes.
    """

    triangles: np.ndarray
    mirror: np.ndarray
    oval: np.ndarray
    neutral_shape: np.ndarray


@cache
def load_topology() -> Topology:
    """Reads the topology file of the package, once."""
    table = json.loads((Path(__file__).parent / "face_mesh.json").read_text(encoding="utf-8"))
    return Topology(
        triangles=np.array(table["triangles"], np.int32),
        mirror=np.array(table["mirror"], np.int32),
        oval=np.array(table["oval"], np.int32),
        neutral_shape=np.array(table["neutral_shape"], np.float32),
    )


def view_matrix(left_eye: np.ndarray, right_eye: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """Matrix (2, 3) from the picture to the network input, with horizontal eyes and a centred face."""
    eyes = (left_eye + right_eye) / 2
    scale = INPUT_SIZE / (ROI_PER_EYE_MOUTH * max(float(np.linalg.norm(eyes - mouth)), 1.0))
    angle = np.arctan2(*(right_eye - left_eye)[::-1])
    rotation = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.hstack([rotation, (INPUT_SIZE / 2 - rotation @ ((eyes + mouth) / 2))[:, None]])


class FaceMesh:
    """Locates 468 face points (Kartynnik et al. 2019) with OpenCV, in about 5 ms on one core."""

    def __init__(self, model_path: str | Path) -> None:
        """
        Args:
            model_path: `face_landmark.tflite` out of the wheel of mediapipe.
        """
        if not Path(model_path).is_file():
            raise ValueError(f"model_path ({model_path}) must be the file face_landmark.tflite")
        self.net = cv2.dnn.readNetFromTFLite(str(model_path))

    def locate(self, picture: np.ndarray, *, five_points: np.ndarray) -> np.ndarray:
        """(468, 3) float64 points of one face: x and y in pixels, z in pixels away from the camera.

        Args:
            picture: (H, W, 3) uint8 RGB.
            five_points: (5, 2) pixels: left eye, right eye, nose, left and right corner of the mouth, from a detector.
        """
        if five_points.shape != (5, 2):
            raise ValueError(f"five_points must have shape (5, 2), got {five_points.shape}")
        left_eye, right_eye, mouth = five_points[0], five_points[1], five_points[3:].mean(0)
        for _ in range(REFINEMENTS):
            points = self._locate_in_view(picture, view_matrix(left_eye, right_eye, mouth))
            left_eye, right_eye = (points[list(pair), :2].mean(0) for pair in (LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS))
            mouth = points[list(MOUTH_CORNERS), :2].mean(0)
        return points

    def _locate_in_view(self, picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        view = cv2.warpAffine(picture, matrix, (INPUT_SIZE, INPUT_SIZE), borderMode=cv2.BORDER_REPLICATE)
        self.net.setInput(cv2.dnn.blobFromImage(view, 1 / 255.0))
        points = self.net.forward().reshape(NUM_POINTS, 3).astype(np.float64)
        scale = np.sqrt(np.linalg.det(matrix[:, :2]))
        points[:, :2] = (points[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        points[:, 2] /= scale
        return points


@dataclass(frozen=True)
class FaceFrame:
    """Coordinate system of a face in the picture.

    Args:
        origin: (2,) pixels, between the outer corners of the eyes.
        axes: (2, 2), rows: one millimetre to the right and one down in the face, in pixels. The first one is
            foreshortened in a turned face.
        pixels_per_mm: scale.
    """

    origin: np.ndarray
    axes: np.ndarray
    pixels_per_mm: float

    def to_mm(self, points: np.ndarray) -> np.ndarray:
        """Converts (..., 2) pixels to (..., 2) mm in the face's axes."""
        return (points - self.origin) @ np.linalg.inv(self.axes)


def face_frame(points: np.ndarray) -> FaceFrame:
    """Coordinate system of a face from its points (468, 3)."""
    left, right = points[LEFT_EYE_CORNERS[0]], points[RIGHT_EYE_CORNERS[1]]
    pixels_per_mm = float(np.linalg.norm(right - left)) / CANTHAL_MM
    across = (right - left)[:2]
    down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    return FaceFrame(
        origin=(left + right)[:2] / 2,
        axes=np.stack([across / CANTHAL_MM, down * pixels_per_mm]),
        pixels_per_mm=pixels_per_mm,
    )
