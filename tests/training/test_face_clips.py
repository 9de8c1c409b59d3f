"""Random parts of a face timeline, and mirror_faces faces."""

from dataclasses import replace

import numpy as np
import torch

from microemo.data.example import FaceEvent, FaceTimeline
from microemo.processing.clip import Clip
from microemo.processing.facial_actions import COLUMN
from microemo.training.objectives.face_clips import draw_face_clip, mirror_faces

MICRO_FEAR = FaceEvent("micro", "fear", 7.0, 7.1, 7.2)


def clip(seconds=10.0):
    times = np.arange(0, seconds, 0.1)
    crops = np.arange(len(times), dtype=np.uint8)[:, None, None, None] + np.arange(4, dtype=np.uint8)[:, None]
    return Clip(
        "clip",
        0.0,
        seconds,
        (),
        face_crops=np.broadcast_to(crops, (len(times), 4, 4, 3)).copy(),
        face_times=times,
        face_track_ids=np.zeros(len(times), np.int64),
    )


def test_face_clip_keeps_the_times_of_its_crops():
    torch.manual_seed(0)
    starts = set()
    for _ in range(20):
        part = draw_face_clip(clip(), timeline=None, seconds=2.0)
        assert 1.85 <= np.ptp(part.face_times) <= 2.01
        assert (part.face_crops[:, 0, 0, 0] == np.round(part.face_times * 10)).all()
        starts.add(part.face_times[0])
    assert len(starts) > 5


def test_most_face_clips_contain_a_micro_expression():
    torch.manual_seed(0)
    timeline = FaceTimeline((MICRO_FEAR,))
    parts = [draw_face_clip(clip(), timeline=timeline, seconds=2.0).face_times for _ in range(100)]
    num_with_event = sum(times[0] <= 7.1 <= times[-1] for times in parts)
    num_by_chance = sum(
        times[0] <= 7.1 <= times[-1]
        for times in (draw_face_clip(clip(), timeline=None, seconds=2.0).face_times for _ in range(100))
    )
    assert num_with_event > 65 and num_by_chance < 45


def test_short_clip_is_unchanged():
    short = clip(1.5)
    assert draw_face_clip(short, timeline=None, seconds=2.0) is short


def test_mirroring_flips_every_crop():
    assert (mirror_faces(clip()).face_crops[:, :, ::-1] == clip().face_crops).all()


def test_mirroring_swaps_sides_of_the_measurements():
    count = len(clip().face_times)
    actions = np.zeros((count, 52), np.float32)
    actions[:, COLUMN["mouthSmileLeft"]] = 0.75
    measured = replace(
        clip(),
        face_actions=actions,
        head_pose=np.full((count, 3), (5, 20, -10), np.float32),
        gaze=np.full((count, 2), (8, 3), np.float32),
        face_actions_mask=np.ones(count, bool),
    )
    flipped = mirror_faces(measured)
    assert (
        flipped.face_actions[:, COLUMN["mouthSmileRight"]] == 0.75
    ).all() and flipped.face_actions.sum() == count * 0.75
    assert flipped.head_pose[0].tolist() == [5, -20, 10] and flipped.gaze[0].tolist() == [-8, 3]
    assert (mirror_faces(flipped).face_actions == actions).all()
