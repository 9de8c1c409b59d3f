"""Faces of a stretch as somebody else's."""

import cv2
import numpy as np
import pytest
import torch

from microemo.processing.clip import Clip
from microemo.training.face_looks import check_face_spread, other_look

SIDE = 64


def clip(crops):
    times = np.arange(len(crops)) / 30
    return Clip(
        "clip", 0.0, 1.0, (), face_crops=crops, face_times=times, face_track_ids=np.zeros(len(crops), np.int64)
    )


def still_face(count=5):
    grey = np.random.default_rng(0).integers(40, 200, size=(8, 8, 3)).astype(np.uint8)
    return np.stack([cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)] * count)


def test_a_face_that_does_not_move_stays_at_rest_and_looks_different_each_time():
    torch.manual_seed(0)
    before = clip(still_face())
    looks = [other_look(before, spread=0.1) for _ in range(4)]
    for look in looks:
        assert look.face_crops.shape == before.face_crops.shape and look.face_crops.dtype == np.uint8
        assert (look.face_crops == look.face_crops[:1]).all()
        assert look.face_times is before.face_times
    differences = [
        np.abs(one.face_crops[0].astype(int) - other.face_crops[0]).mean()
        for one, other in zip([before, *looks], [*looks, before], strict=True)
    ]
    assert min(differences) > 3


def test_what_moves_in_a_face_moves_at_the_same_moment_and_nearly_the_same_place():
    torch.manual_seed(1)
    crops = still_face()
    crops[3, 40:50, 20:30] = 0  # a mouth that opens
    seen = other_look(clip(crops), spread=0.1).face_crops.astype(int)
    moved = np.abs(np.diff(seen, axis=0)).sum(-1)
    assert (moved.reshape(4, -1).sum(1) > 0).tolist() == [False, False, True, True]
    rows, columns = np.nonzero(moved[2] > 20)
    assert abs(rows.mean() - 44.5) < 12 and abs(columns.mean() - 24.5) < 12


def test_the_shape_changes_as_far_as_was_asked():
    torch.manual_seed(2)
    picture = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    picture[:, 16:48, 16:48] = 255  # a quarter of the crop
    areas = [(other_look(clip(picture), spread=0.1).face_crops > 127).mean() for _ in range(60)]
    assert 0.25 * 0.8 < min(areas) < 0.22 and 0.28 < max(areas) < 0.25 * 1.23


def test_without_spread_or_faces_nothing_changes():
    whole = clip(still_face())
    assert other_look(whole, spread=0.0) is whole
    faceless = Clip("clip", 0.0, 1.0, ())
    assert other_look(faceless, spread=0.1) is faceless
    unseen = clip(np.zeros((0, SIDE, SIDE, 3), np.uint8))
    assert other_look(unseen, spread=0.1) is unseen


@pytest.mark.parametrize("spread", [-0.1, 0.31, 2])
def test_a_spread_that_leaves_no_face_is_refused(spread):
    with pytest.raises(ValueError, match=r"face_spread \(-?\d\.?\d*\) must be in 0\.\.0\.3"):
        check_face_spread(spread)
