"""Aligned grey face crops from a folder of labelled photographs, cropped as in inference on video."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from microemo.processing import face_cropping
from microemo.processing.face_cropping import alignment_matrix, crop_face
from microemo.processing.face_detection import FaceDetector, create_detector

# The order of the face head's logits (`MicroEmoConfig.expression_id2label`).
EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
CROP_SIZE = 112  # px
SCORE_THRESHOLD = 0.3  # lower than for video, as every photograph shows a face
RETRY_PADDING = 0.25  # of the sides; a face that fills the image is detected only with a margin

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class StillFaces:
    """N aligned faces.

    crops: (N, h, w) uint8 grey, 0 outside the photograph. inside: (N, h, w) bool, False outside the photograph.
    labels: (N,) int64 index into `EXPRESSIONS`. identities, files: (N,) str.
    """

    crops: np.ndarray
    inside: np.ndarray
    labels: np.ndarray
    identities: np.ndarray
    files: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.crops.ndim != 3 or len(self.crops) != count:
            raise ValueError(f"crops must have shape ({count}, h, w), got {self.crops.shape}")
        if self.inside.shape != self.crops.shape:
            raise ValueError(f"inside must have the crops' shape {self.crops.shape}, got {self.inside.shape}")
        for name in ("identities", "files"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {count} labels")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, chosen: np.ndarray) -> StillFaces:
        """Returns the faces at the indices or mask `chosen`."""
        return StillFaces(
            self.crops[chosen],
            self.inside[chosen],
            self.labels[chosen],
            self.identities[chosen],
            self.files[chosen],
        )


@dataclass(frozen=True)
class StillLabel:
    """One row of labels.csv."""

    file: str
    expression: str
    identity: str


def read_labels(folder: Path) -> tuple[StillLabel, ...]:
    """Reads `folder`/labels.csv with the columns file, emotion, identity."""
    path = folder / "labels.csv"
    if not path.is_file():
        raise ValueError(f"folder must hold labels.csv, but {path} does not exist")
    with path.open(newline="", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        missing = {"file", "emotion", "identity"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} lacks the columns {sorted(missing)}, it has {reader.fieldnames}")
        rows = tuple(StillLabel(row["file"], row["emotion"], row["identity"]) for row in reader)
    unknown = {row.expression for row in rows} - set(EXPRESSIONS)
    if unknown:
        raise ValueError(f"{path} has the emotions {sorted(unknown)}, allowed are {EXPRESSIONS}")
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows


def identity_folds(identities: np.ndarray, *, folds: int) -> np.ndarray:
    """Returns the fold (N,) of each face: SHA-256 of its identity modulo `folds`.

    No person is in two folds, and adding images does not change the fold of a person.
    """
    if folds < 2:
        raise ValueError(f"folds must be >= 2, got {folds}")
    return np.array([int(hashlib.sha256(str(name).encode()).hexdigest(), 16) % folds for name in identities])


def load_still_faces(
    folder: str | Path,
    *,
    cache: str | Path | None = None,
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
) -> StillFaces:
    """Returns the aligned faces of a folder with labels.csv, without photographs in which no face is detected.

    Args:
        folder: photographs and labels.csv.
        cache: an .npz file that is read if it was made from the same photographs and crop geometry, else written.
        detector: CenterFace by default; use a cache only with the same detector.
        progress: called with ("faces", done, total).
    """
    folder = Path(folder)
    rows = read_labels(folder)
    fingerprint = stills_fingerprint(folder, rows=rows)
    cache = Path(cache) if cache is not None else None
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:
            if str(stored["fingerprint"]) == fingerprint:
                return StillFaces(*(stored[name] for name in ("crops", "inside", "labels", "identities", "files")))
    faces = _align_rows(folder, rows, detector=detector or create_still_detector(), progress=progress)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(cache, fingerprint=fingerprint, **vars(faces))
    return faces


def stills_fingerprint(folder: Path, *, rows: tuple[StillLabel, ...]) -> str:
    """Returns the SHA-256 of labels, photographs and crop geometry."""
    digest = hashlib.sha256(repr((CROP_SIZE, face_cropping.CROP_TEMPLATE.tolist())).encode())
    for row in rows:
        digest.update(repr(row).encode())
        digest.update(_photograph_path(folder, row).read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class AlignedStill:
    """The largest face of an image. crop: (h, w) grey uint8. inside: (h, w) bool, True inside the image.
    landmarks: (5, 2) pixels of the image."""

    crop: np.ndarray
    inside: np.ndarray
    landmarks: np.ndarray


def align_still(picture: np.ndarray, *, detector: FaceDetector) -> AlignedStill | None:
    """Returns the largest face of an image; None if no face is detected.

    Args:
        picture: (H, W, 3) uint8 RGB.
        detector: face detector; it runs again on the padded image if it detects no face.
    """
    landmarks = _largest_face(picture, detector=detector)
    if landmarks is None:
        height, width = (round(side * RETRY_PADDING) for side in picture.shape[:2])
        picture_with_margin = np.pad(picture, ((height, height), (width, width), (0, 0)))
        landmarks = _largest_face(picture_with_margin, detector=detector)
        if landmarks is None:
            return None
        landmarks = landmarks - np.array([width, height])
    matrix = alignment_matrix(landmarks)
    crop = cv2.cvtColor(crop_face(picture, matrix, CROP_SIZE), cv2.COLOR_RGB2GRAY)
    inside = crop_face(np.full_like(picture, 255), matrix, CROP_SIZE)[..., 0] > 127
    return AlignedStill(crop, inside, landmarks)


def crop_still(picture: np.ndarray, *, detector: FaceDetector) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns crop and inside mask of `align_still`."""
    aligned = align_still(picture, detector=detector)
    return None if aligned is None else (aligned.crop, aligned.inside)


def create_still_detector() -> FaceDetector:
    """Returns the face detector for photographs."""
    return create_detector("centerface", score_threshold=SCORE_THRESHOLD)


def _photograph_path(folder: Path, row: StillLabel) -> Path:
    path = folder / row.file
    if not path.is_file():
        raise ValueError(f"labels.csv names {row.file}, but {path} does not exist")
    return path


def _align_rows(
    folder: Path, rows: tuple[StillLabel, ...], *, detector: FaceDetector, progress: Progress | None
) -> StillFaces:
    faces = []
    for done, row in enumerate(rows, start=1):
        picture = cv2.imread(str(_photograph_path(folder, row)), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"{folder / row.file} is not an image that OpenCV can read")
        aligned = crop_still(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), detector=detector)
        if aligned is not None:
            faces.append((row, *aligned))
        if progress is not None:
            progress("faces", done, len(rows))
    if not faces:
        raise ValueError(f"folder {folder}: no face was detected in any of its {len(rows)} photographs")
    return StillFaces(
        crops=np.stack([crop for _, crop, _ in faces]),
        inside=np.stack([inside for _, _, inside in faces]),
        labels=np.array([EXPRESSIONS.index(row.expression) for row, _, _ in faces], dtype=np.int64),
        identities=np.array([row.identity for row, _, _ in faces]),
        files=np.array([row.file for row, _, _ in faces]),
    )


def _largest_face(picture: np.ndarray, *, detector: FaceDetector) -> np.ndarray | None:
    faces = detector.detect(picture[None])[0]
    if len(faces) == 0:
        return None
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return faces.landmarks[int(np.argmax(sides.prod(axis=1)))]
