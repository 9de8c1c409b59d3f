"""Facial actions relative to each person's rest, in batches of clips."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from microemo.processing.clip import Clip
from microemo.processing.clip_tensors import face_tensors, relative_actions
from microemo.processing.facial_actions import COLUMN, USUAL_REST

JAW, BROW = COLUMN["jawOpen"], COLUMN["browDownLeft"]
FPS = 10.0


def clip_of(*people: np.ndarray, absent: tuple[int, ...] = ()) -> Clip:
    """Actions (F, 52) of several people in the same frames; crops in `absent` are not measured."""
    count, frames = len(people), len(people[0])
    rows = count * frames
    actions = np.stack(people, axis=1).reshape(rows, -1)
    mask = ~np.isin(np.arange(rows), absent)
    return Clip(
        source="synthetic",
        start_seconds=0.0,
        end_seconds=frames / FPS,
        utterances=(),
        face_crops=np.zeros((rows, 8, 8, 3), np.uint8),
        face_times=np.repeat(np.arange(frames) / FPS, count),
        face_track_ids=np.tile(np.arange(count), frames),
        face_actions=np.where(mask[:, None], actions, 0).astype(np.float32),
        head_pose=np.zeros((rows, 3), np.float32),
        gaze=np.zeros((rows, 2), np.float32),
        face_actions_mask=mask,
    )


def person(*, brow: float, frames: int = 60, jaw_at: int | None = None) -> np.ndarray:
    """Constantly low brows, and a jaw that opens once."""
    actions = np.zeros((frames, 52), np.float32)
    actions[:, BROW] = brow
    if jaw_at is not None:
        actions[jaw_at, JAW] = 0.8
    return actions


def test_actions_are_relative_to_each_persons_rest():
    clip = clip_of(person(brow=0.4), person(brow=0.1, jaw_at=30))
    relative = relative_actions(clip).reshape(60, 2, 52)
    assert relative.dtype == torch.float32
    assert relative[:, :, BROW].abs().max() < 1e-6  # the first person's resting face has low brows
    assert relative[30, 1, JAW] == pytest.approx(0.8) and relative[30, 0, JAW] == 0


@pytest.mark.parametrize("other", [0.0, 0.3, 0.9])
def test_two_people_are_not_mixed(other):
    alone = relative_actions(clip_of(person(brow=0.4, jaw_at=12)))
    together = relative_actions(clip_of(person(brow=0.4, jaw_at=12), person(brow=other, jaw_at=40)))
    assert torch.equal(together[::2], alone)


def test_briefly_observed_people_use_the_typical_rest():
    relative = relative_actions(clip_of(person(brow=0.4, frames=10)))
    np.testing.assert_allclose(relative[:, BROW], 0.4 - USUAL_REST[BROW], atol=1e-6)


def test_unmeasured_crops_are_zero():
    clip = clip_of(person(brow=0.4, frames=10), absent=(3, 4))
    relative = relative_actions(clip)
    assert not relative[3:5].any() and relative[5].any()
    plain = replace(clip, face_actions=None, head_pose=None, gaze=None, face_actions_mask=None)
    assert relative_actions(plain).shape == (10, 52) and not relative_actions(plain).any()


def test_batches_contain_relative_actions():
    long, short = clip_of(person(brow=0.4)), clip_of(person(brow=0.2, frames=10))
    plain = replace(short, face_actions=None, head_pose=None, gaze=None, face_actions_mask=None)
    faceless = replace(plain, face_crops=None, face_times=None, face_track_ids=None)
    tensors = face_tensors([short, faceless, long, plain], preprocess=lambda crops: torch.zeros(len(crops), 3, 8, 8))
    assert tensors["relative_face_actions"].shape == tensors["face_actions"].shape == (4, 60, 52)
    for row, clip in ((0, short), (2, long)):
        relative = relative_actions(clip)
        assert torch.equal(tensors["relative_face_actions"][row, : len(relative)], relative)
    assert not tensors["relative_face_actions"][0, 10:].any()
    assert not tensors["relative_face_actions"][1].any() and not tensors["relative_face_actions"][3].any()
    unmeasured = face_tensors([plain], preprocess=lambda crops: torch.zeros(len(crops), 3, 8, 8))
    assert "relative_face_actions" not in unmeasured and "face_actions" not in unmeasured
