"""Random labelled photographs, a fake detector and a tiny face classifier."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from transformers import MobileNetV2Config

from microemo.data.still_faces import EXPRESSIONS
from microemo.processing.face_cropping import landmarks_from_boxes
from microemo.processing.face_detection import FaceDetections
from microemo.training.face_tower.classifier import FaceClassifier

PEOPLE = 12


class MiddleFace:
    """Fake detector: one face in the middle of every bright picture, none in a dark one."""

    def detect(self, frames: np.ndarray) -> list[FaceDetections]:
        return [self._face(frame) for frame in frames]

    def _face(self, frame: np.ndarray) -> FaceDetections:
        height, width = frame.shape[:2]
        count = int(frame.mean() > 20)
        boxes = np.array([[0.1 * width, 0.1 * height, 0.9 * width, 0.9 * height]] * count, dtype=np.float32)
        boxes = boxes.reshape(count, 4)
        return FaceDetections(boxes, landmarks_from_boxes(boxes).astype(np.float32), np.ones(count, dtype=np.float32))


def write_stills(folder: Path, *, seed: int = 0) -> Path:
    """One noise image for every person and expression; the brightness encodes the expression."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "emotion", "identity"])
        for person in range(PEOPLE):
            for label, expression in enumerate(EXPRESSIONS):
                name = f"{person:02d}-{label}.bmp"
                picture = generator.integers(20 + 25 * label, 60 + 25 * label, size=(64, 64, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / name), picture)
                writer.writerow([name, expression, f"person-{person}"])
    return folder


def tiny_classifier(*, seed: int = 0, dropout: float = 0.0) -> FaceClassifier:
    torch.manual_seed(seed)
    config = MobileNetV2Config(depth_multiplier=0.1, min_depth=4, depth_divisible_by=4, tf_padding=False)
    model = FaceClassifier(config, dropout=dropout)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # with the small initial weights of transformers all outputs would be near 0
            nn.init.kaiming_normal_(module.weight)
    return model
