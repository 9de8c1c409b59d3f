"""Training examples of the expression classifier: face features and facial actions of photographs and labelled video.

Detector, crops, landmark networks and resting faces are the same as at inference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from microemo.data.labelled_segments import LabelledSegment
from microemo.data.still_faces import (
    EXPRESSIONS,
    align_still,
    create_still_detector,
    read_labels,
)
from microemo.processing.clip_reading import ClipReader
from microemo.processing.clip_tensors import relative_actions
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.facial_actions import USUAL_REST
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.face_tower.classifier import FaceClassifier, normalise_grey

READING = ReadingSettings(face_fps=30.0, faces_everywhere=True, num_frames=8)
BATCH_SIZE = 64
BORDER_SECONDS = 0.1  # left out at both ends of a segment

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FaceFeatures:
    """Features of N face crops.

    Args:
        features: (N, C) features of the face tower.
        actions: (N, 104) facial actions, absolute and relative to the person's resting face; zeros where `is_measured`
            is False.
        is_measured: (N,) bool.
        times: (N,) seconds, 0 for photographs.
    """

    features: np.ndarray
    actions: np.ndarray
    is_measured: np.ndarray
    times: np.ndarray


@dataclass(frozen=True)
class LabelledFaces:
    """`FaceFeatures` with labels (N,) int, people (N,) str and weights (N,)."""

    faces: FaceFeatures
    labels: np.ndarray
    people: np.ndarray
    weights: np.ndarray


def still_examples(
    folder: Path, *, tower: FaceClassifier, landmarker: FaceLandmarker, cache: Path, progress: Progress
) -> LabelledFaces:
    """Examples of the photographs in a folder with labels.csv; photographs without a detected face are left out."""
    rows, path = read_labels(folder), cache / "stills.npz"
    if not path.is_file():
        detector = create_still_detector()
        crops, actions, measured, face_rows = [], [], [], []
        for done, row in enumerate(rows, start=1):
            image = cv2.imread(str(folder / row.file), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f"labels.csv names {row.file}, but OpenCV cannot read {folder / row.file}")
            picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            aligned = align_still(picture, detector=detector)
            if aligned is not None:
                mesh = landmarker.analyze(picture, aligned.landmarks)
                crops.append(aligned.crop)
                actions.append(np.concatenate([mesh.actions, mesh.actions - USUAL_REST]) * mesh.is_face)
                measured.append(mesh.is_face)
                face_rows.append(done - 1)
            progress("photographs", done, len(rows))
        if not crops:
            raise ValueError(f"folder {folder}: no face was found in any of its {len(rows)} photographs")
        features = tower_features(tower, np.stack(crops))
        np.savez(
            path,
            features=features,
            actions=np.stack(actions).astype(np.float32),
            measured=np.array(measured),
            rows=np.array(face_rows),
        )
    with np.load(path) as stored:
        labels = [rows[row] for row in stored["rows"]]
        faces = FaceFeatures(stored["features"], stored["actions"], stored["measured"], np.zeros(len(labels)))
    return LabelledFaces(
        faces,
        labels=np.array([EXPRESSIONS.index(row.expression) for row in labels]),
        people=np.array([row.identity for row in labels]),
        weights=np.ones(len(labels)),
    )


def clip_faces(path: Path, *, tower: FaceClassifier, landmarker: FaceLandmarker, cache: Path) -> FaceFeatures | None:
    """Features of the largest face of a video at 30 crops per second; None without a face."""
    cached = cache / f"{path.stem}.npz"
    if not cached.is_file():
        reader = ClipReader(READING, landmarker=landmarker, recognizer=None)
        clip = next(iter(reader.read(path, person="largest")))
        if clip.face_crops is None or clip.face_actions is None or clip.face_times is None:
            return None
        grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in clip.face_crops])
        mask = np.asarray(clip.face_actions_mask)
        actions = np.concatenate([clip.face_actions, relative_actions(clip).numpy()], axis=1) * mask[:, None]
        np.savez(
            cached,
            features=tower_features(tower, grey),
            actions=actions.astype(np.float32),
            mask=mask,
            times=clip.face_times,
        )
    with np.load(cached) as stored:
        return FaceFeatures(stored["features"], stored["actions"], stored["mask"], stored["times"])


def segment_examples(
    segments: Sequence[LabelledSegment], clips: dict[str, FaceFeatures], *, rate: float, weight: float, most: int
) -> LabelledFaces:
    """Samples `rate` crops per second from the segments. Crops near the borders, which are imprecise, are left out.

    Args:
        clips: by file name.
        weight: of a crop relative to a photograph.
        most: a segment has the total weight of at most this many crops.
    """
    parts: list[tuple[FaceFeatures, np.ndarray, LabelledSegment]] = []
    for segment in segments:
        clip = clips.get(segment.file)
        if clip is None:
            continue
        inside = np.flatnonzero(
            (clip.times >= segment.start_seconds + BORDER_SECONDS)
            & (clip.times <= segment.end_seconds - BORDER_SECONDS)
        )
        rows = inside[:: max(1, round(READING.face_fps / rate))]
        if len(rows):
            parts.append((clip, rows, segment))
    if not parts:
        raise ValueError(f"no face was found in any of {len(segments)} segments")
    counts = [len(rows) for _, rows, _ in parts]
    return LabelledFaces(
        FaceFeatures(
            *(
                np.concatenate([getattr(clip, name)[rows] for clip, rows, _ in parts])
                for name in ("features", "actions", "is_measured", "times")
            )
        ),
        labels=np.repeat([segment.label for *_, segment in parts], counts),
        people=np.repeat([segment.person for *_, segment in parts], counts),
        weights=np.repeat([weight * min(1.0, most / count) for count in counts], counts),
    )


@torch.inference_mode()
def tower_features(tower: FaceClassifier, crops: np.ndarray) -> np.ndarray:
    """Mean-pooled tower features (N, C) float32 of grey crops (N, h, w) uint8."""
    batches = range(0, len(crops), BATCH_SIZE)
    parts = [
        tower.face_tower(normalise_grey(crops[start : start + BATCH_SIZE])).last_hidden_state.mean(dim=(2, 3))
        for start in batches
    ]
    return torch.cat(parts).float().numpy()
