"""Detects 478 face landmarks and 52 facial actions (ARKit blendshapes) with MediaPipe's two face networks.

    five points of a detector -> square region, rotated with the eyes -> 256 px input -> landmark network -> points
    146 of the points -> action network -> 52 intensities in [0, 1]

Both networks run in LiteRT, for which they were made. One face on one x86 thread takes 4.9 + 0.7 ms; OpenCV takes
8.3 + 2.0 ms with the same files. A port of the first network to torch takes 13.6 ms (18 ms in batches of eight),
because many small layers are memory-bound there; its points agree to 6e-4 px.
"""

from __future__ import annotations

import threading
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .crop_cache import content_hash

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    Interpreter = None

MODEL_FILE = "face_landmarker.task"  # Google's bundle, a zip
LANDMARK_NET, ACTION_NET = "face_landmarks_detector.tflite", "face_blendshapes.tflite"

NUM_POINTS = 478
NUM_ACTIONS = 52
INPUT_SIZE = 256  # px
MIN_PRESENCE = 0.5  # MediaPipe's own threshold for a face in the input

EYE_LINE = (33, 263)  # outer corners of the eyes, left and right in the image: they set the rotation of the region
REGION_SCALE = 1.5  # side of the region over the longer side of the box around the points
REGION_PER_EYE_MOUTH = 3.9  # the same side over the distance from eyes to mouth, for faces known by five points,
REGION_PER_EYES = 3.4  # and over the distance between the eyes, which is larger if the head is tilted up or down
NUM_PASSES = 2  # the second pass uses the region of the first pass's points
# If the face was measured shortly before, its last points give the region, as in MediaPipe's video mode: one pass is
# then enough. Not if the five points differ by more than this, in units of the region's side and as a ratio of sides.
MAX_SHIFT, MAX_GROWTH = 0.2, 1.35

# Input points of the action network.
# fmt: off
ACTION_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249,
    251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314,
    317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382,
    384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
])
# fmt: on


@dataclass(frozen=True)
class FaceRegion:
    """A square image region: centre (x, y) and side in pixels; `angle` in radians, positive clockwise."""

    centre: tuple[float, float]
    side: float
    angle: float


@dataclass(frozen=True)
class FaceMesh:
    """Landmarks and actions of one face.

    points: (478, 3) float32: x and y in image pixels from the upper left corner, z in the same unit, smaller is
    nearer.
    presence: probability that the region contains a face.
    actions: (52,) float32 in [0, 1], named by `facial_actions.ACTION_NAMES`.
    """

    points: np.ndarray
    presence: float
    actions: np.ndarray

    @property
    def is_face(self) -> bool:
        return self.presence >= MIN_PRESENCE


class Landmarker(Protocol):
    """Measures a face: `FaceLandmarker`, or a custom object.

    Results are cached only if it has a `fingerprint`, a string that identifies it.
    """

    def analyze(
        self, picture: np.ndarray, five_points: np.ndarray, *, previous: FaceMesh | None = None
    ) -> FaceMesh: ...


class FaceLandmarker:
    """Measures landmarks and actions of a face at a known position. Thread-safe."""

    def __init__(self, model_file: str | Path) -> None:
        """Loads both networks.

        Args:
            model_file: MediaPipe's `face_landmarker.task`, or its folder.
        """
        if Interpreter is None:
            raise ImportError("face landmarks need the package ai-edge-litert: pip install ai-edge-litert")
        if cv2 is None:
            raise ImportError("face landmarks need OpenCV: pip install opencv-python")
        path = Path(model_file)
        self.model_file = path / MODEL_FILE if path.is_dir() else path
        if not self.model_file.is_file():
            raise ValueError(f"model_file must be {MODEL_FILE} or a folder with it, got {model_file}")
        self._landmark_net = _Network(self.model_file, LANDMARK_NET)
        self._action_net = _Network(self.model_file, ACTION_NET)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[FaceLandmarker], tuple[Path]]:
        return type(self), (self.model_file,)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the model file."""
        return content_hash(self.model_file)

    def analyze(
        self,
        picture: np.ndarray,
        five_points: np.ndarray,
        *,
        previous: FaceMesh | None = None,
        passes: int = NUM_PASSES,
    ) -> FaceMesh:
        """Measures the face at five detected points.

        Args:
            picture: (H, W, 3) uint8 RGB.
            five_points: (5, 2) pixels: left eye, right eye, nose, left and right corner of the mouth, as seen in the
                image.
            previous: the same face a few tenths of a second earlier; then one pass is enough.
            passes: number of passes, each with the region of the previous one's points.
        """
        if passes < 1:
            raise ValueError(f"passes must be >= 1, got {passes}")
        region = region_of_five_points(five_points)
        if previous is not None and previous.is_face:
            previous_region = region_of_mesh(previous.points)
            if is_near(previous_region, region):
                return self.analyze_region(picture, previous_region)
        for _ in range(passes - 1):
            points, presence = self._locate(picture, region)
            if presence >= MIN_PRESENCE:
                region = region_of_mesh(points)
        return self.analyze_region(picture, region)

    def analyze_region(self, picture: np.ndarray, region: FaceRegion) -> FaceMesh:
        """Measures the face in a region, in one pass."""
        points, presence = self._locate(picture, region)
        with self._lock:
            actions = self._action_net(points[None, ACTION_POINTS, :2].astype(np.float32))[0]
        return FaceMesh(points, presence, actions.reshape(NUM_ACTIONS))

    def _locate(self, picture: np.ndarray, region: FaceRegion) -> tuple[np.ndarray, float]:
        """(478, 3) float32 points in the image, and presence."""
        matrix = input_matrix(region)
        region_image = cv2.warpAffine(
            picture, matrix, (INPUT_SIZE, INPUT_SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        with self._lock:
            located, presence_logit = self._landmark_net(region_image[None].astype(np.float32) / 255)[:2]
        in_region = located.reshape(NUM_POINTS, 3).astype(np.float64)
        points = np.empty_like(in_region)
        points[:, :2] = (in_region[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        points[:, 2] = in_region[:, 2] * region.side / INPUT_SIZE
        return points.astype(np.float32), float(1 / (1 + np.exp(-float(presence_logit.item()))))


class _Network:
    """One network of the bundle, on one thread: more threads do not speed up so small a network."""

    def __init__(self, model_file: Path, name: str) -> None:
        try:
            with zipfile.ZipFile(model_file) as bundle:
                content = bundle.read(name)
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"{model_file} is no face landmarker bundle: {error}") from error
        self.interpreter: Any = Interpreter(model_content=content, num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.outputs = [output["index"] for output in self.interpreter.get_output_details()]

    def __call__(self, values: np.ndarray) -> list[np.ndarray]:
        self.interpreter.set_tensor(self.input, values)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(output) for output in self.outputs]


def region_of_five_points(five_points: np.ndarray) -> FaceRegion:
    """Region of a face with five points (5, 2) px (left eye, right eye, nose, corners of the mouth)."""
    points = np.asarray(five_points, dtype=np.float64)
    if points.shape != (5, 2):
        raise ValueError(f"five_points must have shape (5, 2), got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("five_points must be finite")
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    eye_line = points[1] - points[0]
    side = max(
        REGION_PER_EYE_MOUTH * float(np.linalg.norm(mouth - eyes)), REGION_PER_EYES * float(np.linalg.norm(eye_line))
    )
    centre = (eyes + mouth) / 2
    return FaceRegion(
        (float(centre[0]), float(centre[1])), max(side, 1.0), float(np.arctan2(eye_line[1], eye_line[0]))
    )


def region_of_mesh(points: np.ndarray) -> FaceRegion:
    """Region of a face with points (478, 2 or 3) px: 1.5 times their bounding box, rotated with the eyes."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    eye_line = points[EYE_LINE[1], :2] - points[EYE_LINE[0], :2]
    centre = (low + high) / 2
    return FaceRegion(
        (float(centre[0]), float(centre[1])),
        max(REGION_SCALE * float((high - low).max()), 1.0),
        float(np.arctan2(eye_line[1], eye_line[0])),
    )


def is_near(region: FaceRegion, other: FaceRegion) -> bool:
    """Whether both regions can show the same face at two consecutive times."""
    shift = float(np.hypot(*np.subtract(region.centre, other.centre)))
    return shift <= MAX_SHIFT * other.side and 1 / MAX_GROWTH <= region.side / other.side <= MAX_GROWTH


def input_matrix(region: FaceRegion) -> np.ndarray:
    """(2, 3) float64: image pixels -> pixels of the network's input."""
    scale = INPUT_SIZE / region.side
    cosine, sine = scale * np.cos(region.angle), scale * np.sin(region.angle)
    rotation = np.array([[cosine, sine], [-sine, cosine]])
    return np.column_stack([rotation, INPUT_SIZE / 2 - rotation @ np.array(region.centre)])
