"""Segmentation of a person and reconstruction of the background, so that only the person moves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

INPUT_SIZE = 256  # px, square input of the network
EDGE_PIXELS = 3  # the background is filled this far beyond the mask
SOLID, CLEAR = 0.8, 0.2  # mask values that are mapped to 1 and 0
PLATE_SIZE = 112  # px, resolution of the fill; only a few pixels beside a moving head are visible


class PersonMask:
    """MediaPipe's selfie segmentation with OpenCV, about 10 ms."""

    def __init__(self, model_path: str | Path) -> None:
        """
        Args:
            model_path: `selfie_segmentation.tflite` out of the wheel of mediapipe.
        """
        if not Path(model_path).is_file():
            raise ValueError(f"model_path ({model_path}) must be the file selfie_segmentation.tflite")
        self.net = cv2.dnn.readNetFromTFLite(str(model_path))

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Person mask (H, W) float32 in [0, 1] of a picture (H, W, 3) uint8 RGB."""
        view = cv2.resize(picture, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_AREA)
        self.net.setInput(cv2.dnn.blobFromImage(view, 1 / 255.0))
        mask = self.net.forward()[0, 0]
        mask = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 1.0), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.clip((mask - CLEAR) / (SOLID - CLEAR), 0, 1).astype(np.float32)


def background_plate(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the picture (H, W, 3) uint8 with the person replaced by inpainting."""
    height, width = mask.shape
    edge = cv2.dilate((mask > 0.02).astype(np.uint8), np.ones((2 * EDGE_PIXELS + 1,) * 2, np.uint8))
    if edge.all():
        return picture.copy()
    small_size = (PLATE_SIZE, max(1, round(PLATE_SIZE * height / width)))
    small = cv2.resize(picture, small_size, interpolation=cv2.INTER_AREA)
    hidden = cv2.resize(edge, small_size, interpolation=cv2.INTER_NEAREST)
    filled = cv2.resize(
        cv2.inpaint(small, hidden, 3, cv2.INPAINT_TELEA), (width, height), interpolation=cv2.INTER_CUBIC
    )
    weight = cv2.GaussianBlur(edge.astype(np.float32), (0, 0), 1.5)[..., None]
    return (filled * weight + picture * (1 - weight)).astype(np.uint8)
