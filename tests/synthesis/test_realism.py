"""Detector and face mesh on rendered clips: five people, seven emotions, micro and macro."""

from __future__ import annotations

import numpy as np
import pytest

from microemo.data.action_units import ACTION_UNITS, EMOTIONS, PROTOTYPES, unit_vector
from microemo.synthesis.face.face_mesh import NUM_POINTS, face_frame
from microemo.synthesis.face.face_models import fetch_face_models
from microemo.synthesis.generate import RunSettings, create_maker
from microemo.synthesis.script.truth import FaceEvent
from microemo.synthesis.video.performance import Performance, PlannedEvent

SIZE = (224, 224)
FRAME_TIMES = np.arange(36) / 24
PLANS = {"micro": ((0.4, 0.52, 0.75), 0.5), "macro": ((0.3, 0.7, 1.3), 0.85)}
PEOPLE = 5


def performance(kind: str, emotion: str) -> Performance:
    (onset, apex, offset), intensity = PLANS[kind]
    shares = unit_vector(PROTOTYPES[emotion][0])
    units = tuple(unit.label for unit, share in zip(ACTION_UNITS, shares, strict=True) if share > 0)
    sides = (1.0, 0.12) if emotion == "contempt" else (1.0, 0.9)
    event = PlannedEvent(FaceEvent(kind, emotion, units, onset, apex, offset, intensity), shares, sides)
    return Performance(FRAME_TIMES, 1.5, (), (event,), sway=0.3, motion_seed=(3,))


def in_face_axes(points: np.ndarray) -> np.ndarray:
    """(F, 468, 3) pixels -> (F, 468, 2) mm without head motion."""
    return np.stack([face_frame(frame).to_mm(frame[:, :2]) for frame in points])


def event_course(points_mm: np.ndarray, *, direction: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Displacement (F,) in mm along the true movement at the apex."""
    moved = points_mm - points_mm[before].mean(0)
    return moved.reshape(len(moved), -1) @ direction / np.sqrt(NUM_POINTS)


@pytest.mark.slow
def test_faces_are_detected_and_move_as_in_the_truth(labelled_stills):
    settings = RunSettings(count=1, seed=1, stills=str(labelled_stills), augment=False)
    maker = create_maker(settings, models=fetch_face_models())
    rng = np.random.default_rng(5)
    found, frames_seen, true_courses, seen_courses = 0, 0, [], []
    for _ in range(PEOPLE):
        _, portrait = maker._draw_portrait(rng)
        depth = portrait.points[:NUM_POINTS, 2:] * SIZE[0] / portrait.layers.plate.shape[0]
        for kind, ((onset, apex, _), _) in PLANS.items():
            for emotion in EMOTIONS:
                played = performance(kind, emotion)
                frames = np.stack(list(played.frames(portrait, size=SIZE)))
                faces = maker.tools.detect(frames)
                seen = np.array([len(face) > 0 for face in faces])
                found, frames_seen = found + int(seen.sum()), frames_seen + len(frames)
                flat = portrait.face_points(played.motion(), size=SIZE)
                truth = in_face_axes(np.concatenate([flat, np.broadcast_to(depth, (len(flat), *depth.shape))], axis=2))
                measured = in_face_axes(
                    np.stack(
                        [
                            maker.tools.mesh.locate(frame, five_points=face.landmarks[0].astype(np.float64))
                            for frame, face in zip(frames, faces, strict=True)
                            if len(face)
                        ]
                    )
                )
                before = onset > FRAME_TIMES
                direction = (truth[np.argmin(np.abs(FRAME_TIMES - apex))] - truth[before].mean(0)).ravel()
                direction /= np.linalg.norm(direction)
                true_courses.append(event_course(truth, direction=direction, before=before)[seen])
                seen_courses.append(event_course(measured, direction=direction, before=before[seen]))
    correlations = [np.corrcoef(true, seen)[0, 1] for true, seen in zip(true_courses, seen_courses, strict=True)]
    pooled = np.corrcoef(np.concatenate(true_courses), np.concatenate(seen_courses))[0, 1]
    print(f"found {found}/{frames_seen}; r pooled {pooled:.3f}, median {np.median(correlations):.3f}, "
          f"10th percentile {np.percentile(correlations, 10):.3f}, over {len(correlations)} events")  # fmt: skip
    assert found >= 0.99 * frames_seen
    assert pooled >= 0.8 and np.median(correlations) >= 0.9
