"""What the expression classifier learns from: photographs and labelled video as features of the face tower and facial
actions.

Everything is read as inference reads it: the same detector, crops, landmark nets and rest of a person's face.
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
BORDER_SECONDS = 0.1  # of a segment, left out

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FaceMoments:
    """N faces. features: (N, C) of the tower. actions: (N, 104), facial actions and the same against the person's own
    rest, zeros where `is_measured` (N,) is False. times: (N,) seconds, 0 of a photograph."""

    features: np.ndarray
    actions: np.ndarray
    is_measured: np.ndarray
    times: np.ndarray


@dataclass(frozen=True)
class LabelledMoments:
    """`FaceMoments` with labels (N,) int, people (N,) str and weights (N,)."""

    moments: FaceMoments
    labels: np.ndarray
    people: np.ndarray
    weights: np.ndarray


def still_examples(
    folder: Path, *, tower: FaceClassifier, landmarker: FaceLandmarker, cache: Path, progress: Progress
) -> LabelledMoments:
    """The photographs of a folder with labels.csv in which a face is found."""
    rows, path = read_labels(folder), cache / "stills.npz"
    if not path.is_file():
        detector = create_still_detector()
        crops, actions, measured, kept = [], [], [], []
        for done, row in enumerate(rows, start=1):
            read = cv2.imread(str(folder / row.file), cv2.IMREAD_COLOR)
            if read is None:
                raise ValueError(f"labels.csv names {row.file}, but OpenCV can not read {folder / row.file}")
            picture = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
            aligned = align_still(picture, detector=detector)
            if aligned is not None:
                mesh = landmarker.analyze(picture, aligned.landmarks)
                crops.append(aligned.crop)
                actions.append(np.concatenate([mesh.actions, mesh.actions - USUAL_REST]) * mesh.is_face)
                measured.append(mesh.is_face)
                kept.append(done - 1)
            progress("photographs", done, len(rows))
        if not crops:
            raise ValueError(f"folder {folder}: no face was found in any of its {len(rows)} photographs")
        features = tower_features(tower, np.stack(crops))
        np.savez(
            path,
            features=features,
            actions=np.stack(actions).astype(np.float32),
            measured=np.array(measured),
            rows=np.array(kept),
        )
    with np.load(path) as stored:
        chosen = [rows[row] for row in stored["rows"]]
        moments = FaceMoments(stored["features"], stored["actions"], stored["measured"], np.zeros(len(chosen)))
    return LabelledMoments(
        moments,
        labels=np.array([EXPRESSIONS.index(row.expression) for row in chosen]),
        people=np.array([row.identity for row in chosen]),
        weights=np.ones(len(chosen)),
    )


def clip_moments(path: Path, *, tower: FaceClassifier, landmarker: FaceLandmarker, cache: Path) -> FaceMoments | None:
    """Every crop of the largest face of a video, 30 a second; None without a face."""
    kept = cache / f"{path.stem}.npz"
    if not kept.is_file():
        reader = ClipReader(READING, landmarker=landmarker, recognizer=None)
        clip = next(iter(reader.read(path, person="largest")))
        if clip.face_crops is None or clip.face_actions is None or clip.face_times is None:
            return None
        grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in clip.face_crops])
        mask = np.asarray(clip.face_actions_mask)
        both = np.concatenate([clip.face_actions, relative_actions(clip).numpy()], axis=1) * mask[:, None]
        np.savez(
            kept,
            features=tower_features(tower, grey),
            actions=both.astype(np.float32),
            mask=mask,
            times=clip.face_times,
        )
    with np.load(kept) as stored:
        return FaceMoments(stored["features"], stored["actions"], stored["mask"], stored["times"])


def segment_examples(
    segments: Sequence[LabelledSegment], moments: dict[str, FaceMoments], *, rate: float, weight: float, most: int
) -> LabelledMoments:
    """Crops of the segments, `rate` a second and away from their borders, which are good to some tenths.

    Args:
        weight: of a crop beside a photograph; a segment counts as no more than `most` crops.
    """
    parts: list[tuple[FaceMoments, np.ndarray, LabelledSegment]] = []
    for segment in segments:
        clip = moments.get(segment.file)
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
        raise ValueError("in none of the segments a face is seen")
    counts = [len(rows) for _, rows, _ in parts]
    return LabelledMoments(
        FaceMoments(
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
    """(N, C) float32: the mean over the tower's regions of grey crops (N, h, w) uint8."""
    batches = range(0, len(crops), BATCH_SIZE)
    parts = [
        tower.face_tower(normalise_grey(crops[start : start + BATCH_SIZE])).last_hidden_state.mean(dim=(2, 3))
        for start in batches
    ]
    return torch.cat(parts).float().numpy()
