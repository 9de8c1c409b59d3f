"""Interpolation of face measurements: within one face, never between two faces, never across a gap."""

import numpy as np
import pytest
from fake_landmarks import FakeLandmarker

from microemo.processing.face_readings import FaceMeasurer, interpolate

PICTURE = np.zeros((8, 8, 3), np.uint8)


def five_points(x: float) -> np.ndarray:
    return np.array([[x - 10, 0], [x + 10, 0], [x, 10], [x - 8, 20], [x + 8, 20]], dtype=float)


def measured(times, *, landmarker=None, landmark_fps=15.0, position=lambda time: 100 * time):
    """One moving face, measured at all `times`."""
    measurer = FaceMeasurer(landmarker or FakeLandmarker(), landmark_fps=landmark_fps)
    for time in times:
        measurer.measure(time, PICTURE, track_id=0, five_points=five_points(position(time)))
    return measurer.readings(np.asarray(times), np.zeros(len(times), int))


def test_values_are_interpolated_between_measurements():
    times = np.arange(31) / 30
    landmarker = FakeLandmarker()
    readings = measured(times, landmarker=landmarker, landmark_fps=10.0)
    assert len(landmarker.calls) == 11  # every third crop
    assert readings.mask.all()
    np.testing.assert_allclose(readings.actions[:, 0], times / 10, atol=1e-6)


def test_short_gaps_are_bridged_long_ones_are_not():
    times = np.arange(30) / 15
    bridged = measured(times, landmarker=FakeLandmarker(absent=(7, 8)))  # 0.2 s
    assert bridged.mask.all()
    np.testing.assert_allclose(bridged.actions[:, 0], times / 10, atol=1e-6)
    lost = measured(times, landmarker=FakeLandmarker(absent=(7, 8, 9, 10)))
    assert np.flatnonzero(~lost.mask).tolist() == [8, 9]  # 7 and 10 are next to a measurement
    assert not lost.actions[~lost.mask].any() and not lost.head_pose[~lost.mask].any()


def test_a_face_without_landmarks_has_no_values():
    readings = measured(np.arange(4) / 15, landmarker=FakeLandmarker(absent=(0, 1, 2, 3)))
    assert not readings.mask.any() and not readings.actions.any()


def test_values_of_two_faces_are_not_mixed():
    measurer = FaceMeasurer(FakeLandmarker(), landmark_fps=10.0)
    times, track_ids = np.repeat(np.arange(30) / 30, 2), np.tile([0, 1], 30)
    for time, track_id in zip(times, track_ids, strict=True):
        measurer.measure(time, PICTURE, track_id=track_id, five_points=five_points(100 + 800 * track_id))
    readings = measurer.readings(times, track_ids)
    assert readings.mask.all()
    np.testing.assert_allclose(readings.actions[:, 0], np.where(track_ids == 0, 0.1, 0.9), atol=1e-6)


def test_the_previous_mesh_is_passed_only_while_recent():
    landmarker = FakeLandmarker()
    measured([0.0, 1 / 15, 2 / 15, 1.0], landmarker=landmarker)
    assert [previous is not None for _, previous in landmarker.calls] == [False, True, True, False]


def test_a_single_measurement_is_only_held_briefly():
    rows, mask = interpolate(np.array([0.0, 0.45, 0.5, 0.55, 1.0]), [0.5], [np.ones(3)])
    assert mask.tolist() == [False, True, True, True, False]
    np.testing.assert_array_equal(rows.sum(axis=1), [0, 3, 3, 3, 0])


@pytest.mark.parametrize("rate", [7.0, 12.0, 25.0, 29.97, 60.0])
def test_every_crop_of_a_visible_face_has_values(rate):
    readings = measured(np.arange(round(3 * rate)) / rate)
    assert readings.mask.all()
