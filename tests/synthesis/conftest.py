"""A drawn face with known 468 points, and fake speech, so that tests need no downloads and no espeak-ng."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from microemo.data.identities import read_identities
from microemo.processing.face_detection import FaceDetections
from microemo.synthesis.face.face_mesh import load_topology
from microemo.synthesis.face.portrait import make_portrait
from microemo.synthesis.script import casting
from microemo.synthesis.script.scenario import ClipSettings
from microemo.synthesis.video.clip_making import ClipMaker, FaceTools
from microemo.synthesis.voice.espeak import Phoneme
from microemo.synthesis.voice.speech import SAMPLING_RATE, Speech

SIDE = 160  # px of the photograph
PIXELS_PER_MM = 0.6
EYES = np.array([80.0, 62.0])


@pytest.fixture(scope="session")
def mesh_points() -> np.ndarray:
    """Points (468, 3) of the average face in the drawn photograph."""
    return load_topology().neutral_shape.astype(np.float64) * PIXELS_PER_MM + [*EYES, 0.0]


@pytest.fixture(scope="session")
def photograph(mesh_points) -> np.ndarray:
    """A simple face on a checkered background, (160, 160, 3) uint8 RGB."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    picture = np.where(((x // 8 + y // 8) % 2)[..., None] == 0, 60, 120).astype(np.uint8).repeat(3, axis=2)
    oval = np.round(mesh_points[load_topology().oval, :2]).astype(np.int32)
    cv2.fillPoly(picture, [oval], (205, 160, 135))
    for eye in (([33, 160, 158, 133, 153, 144]), ([362, 385, 387, 263, 373, 380])):
        cv2.fillPoly(picture, [np.round(mesh_points[eye, :2]).astype(np.int32)], (245, 245, 245))
    lips = np.round(mesh_points[[61, 39, 0, 269, 291, 405, 17, 181], :2]).astype(np.int32)
    cv2.fillPoly(picture, [lips], (170, 80, 85))
    return picture


@pytest.fixture(scope="session")
def person_mask(mesh_points) -> np.ndarray:
    """(160, 160) float32, 1 on the face."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    oval = mesh_points[load_topology().oval, :2]
    cv2.fillPoly(mask, [np.round(oval.mean(0) + 1.05 * (oval - oval.mean(0))).astype(np.int32)], 1.0)
    return mask


@pytest.fixture(scope="session")
def portrait(photograph, mesh_points, person_mask):
    return make_portrait(photograph, points=mesh_points, mask=person_mask, size=96)


class KnownMesh:
    """Fake `FaceMesh` that returns the points of the drawn face."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points

    def locate(self, picture: np.ndarray, *, five_points: np.ndarray) -> np.ndarray:
        return self.points


@pytest.fixture(scope="session")
def tools(mesh_points, person_mask) -> FaceTools:
    five = mesh_points[[159, 386, 1, 61, 291], :2].astype(np.float32)

    def detect(frames: np.ndarray) -> list[FaceDetections]:
        box = np.array([[40, 20, 120, 150]], np.float32)
        return [FaceDetections(box, five[None], np.ones(1, np.float32)) for _ in frames]

    return FaceTools(detect=detect, mesh=KnownMesh(mesh_points), segment=lambda picture: person_mask)


def hum(text: str, *, emotion: str, voice: str, intensity: float, rng: np.random.Generator) -> Speech:
    """Fake `speech.say`: a tone with a duration proportional to the text."""
    seconds = 0.6 + 0.02 * len(text) + rng.uniform(0, 0.1)
    times = np.arange(int(seconds * SAMPLING_RATE)) / SAMPLING_RATE
    waveform = (0.2 * np.sin(2 * np.pi * 140 * times) * (0.6 + 0.4 * np.sin(8 * times))).astype(np.float32)
    return Speech(waveform, text, (Phoneme(0.0, "m"), Phoneme(0.2, "a"), Phoneme(seconds - 0.1, "_")))


@pytest.fixture
def humming(monkeypatch) -> None:
    """Replaces espeak-ng by a tone."""
    monkeypatch.setattr(casting, "say", hum)


@pytest.fixture
def stills(tmp_path: Path, photograph) -> Path:
    """Photographs of six people, one each."""
    folder = tmp_path / "stills"
    folder.mkdir()
    rows = ["file,emotion,identity"]
    for number in range(6):
        Image.fromarray(photograph).save(folder / f"{number}.png")
        rows.append(f"{number}.png,neutral,person{number}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def maker(stills, tools, humming) -> ClipMaker:
    return ClipMaker(seed=3, people=read_identities(stills), tools=tools, settings=ClipSettings(size=64))
