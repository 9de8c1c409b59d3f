import numpy as np
import pytest

from microemo.processing.face_detection import FaceDetections
from microemo.processing.face_tracking import (
    RUN_GAP_SECONDS,
    FaceTracker,
    return_costs,
    run_landmarks,
)

STEP = 1 / 7.5
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
ROOM = np.full((18, 32), 100, dtype=np.float32)
OTHER_ROOM = np.full((18, 32), 180, dtype=np.float32)


def faces(*corners, side=40.0):
    """Detections of square faces with these upper left corners."""
    boxes = np.array([[x, y, x + side, y + side] for x, y in corners], dtype=np.float32).reshape(-1, 4)
    landmarks = boxes[:, None, :2] + POINTS * side
    return FaceDetections(boxes, landmarks.astype(np.float32), np.full(len(boxes), 0.9, dtype=np.float32))


def track(frames, *, step=STEP):
    """A tracker updated with (corners, thumbnail) pairs."""
    tracker = FaceTracker()
    for place, (corners, thumbnail) in enumerate(frames):
        tracker.update(place * step, faces(*corners), thumbnail=thumbnail)
    return tracker


def spans(tracker):
    return {each.track_id: (round(each.times[0] / STEP), round(each.times[-1] / STEP)) for each in tracker.tracks()}


def test_a_moving_face_is_one_track():
    tracker = track([([(10 + 8 * place, 20)], ROOM) for place in range(20)])
    assert spans(tracker) == {0: (0, 19)}
    only = tracker.tracks()[0]
    np.testing.assert_allclose(only.boxes[:, 0], 10 + 8 * np.arange(20))
    assert only.scores.dtype == np.float32


def test_two_people_keep_their_track_ids():
    frames = [([(10 + 5 * place, 20), (300 - 5 * place, 120)], ROOM) for place in range(25)]
    # The order of detections within a frame is arbitrary.
    frames = [(corners[::-1] if place % 2 else corners, room) for place, (corners, room) in enumerate(frames)]
    first, second = track(frames).tracks()
    assert len(first.times) == len(second.times) == 25
    assert np.all(np.diff(first.boxes[:, 0]) > 0) and np.all(np.diff(second.boxes[:, 0]) < 0)


def test_missed_detections_are_bridged():
    tracker = track([([] if place in (5, 6) else [(10 + 6 * place, 20)], ROOM) for place in range(12)])
    assert spans(tracker) == {0: (0, 11)}
    points = tracker.landmarks_at(5.5 * STEP, thumbnail=lambda: ROOM)[0]
    np.testing.assert_allclose(points, (10 + 6 * 5.5, 20) + POINTS * 40, atol=0.5)


def test_a_returning_face_keeps_its_track_id_with_a_gap():
    away = range(8, 20)  # 1.6 s
    tracker = track([([] if place in away else [(50, 20)], ROOM) for place in range(30)])
    assert spans(tracker) == {0: (0, 29)}
    assert tracker.landmarks_at(14 * STEP, thumbnail=lambda: ROOM) == {}
    assert 0 in tracker.landmarks_at(22 * STEP, thumbnail=lambda: ROOM)


def test_a_face_that_returns_late_or_elsewhere_is_a_new_person():
    long_away = track([([] if 5 <= place < 35 else [(50, 20)], ROOM) for place in range(45)])
    assert len(long_away.tracks()) == 2
    elsewhere = track([([] if 5 <= place < 15 else [(50 + 20 * place, 20)], ROOM) for place in range(25)])
    assert len(elsewhere.tracks()) == 2


def test_a_shot_change_separates_people_at_the_same_position():
    tracker = track([([(50, 20)], ROOM if place < 10 else OTHER_ROOM) for place in range(20)])
    assert spans(tracker) == {0: (0, 9), 1: (10, 19)}
    assert set(tracker.landmarks_at(9.4 * STEP, thumbnail=lambda: OTHER_ROOM)) == {1}
    assert set(tracker.landmarks_at(9.4 * STEP, thumbnail=lambda: ROOM)) == {0}


def test_a_returning_shot_restores_track_ids():
    rooms = [ROOM] * 8 + [OTHER_ROOM] * 30 + [ROOM + 3] * 8 + [OTHER_ROOM - 2] * 8
    tracker = track([([(50, 20)], room) for room in rooms])
    first, second = tracker.tracks()
    assert [len(first.times), len(second.times)] == [16, 38]
    # Nothing is interpolated over the other person's shot.
    assert set(tracker.landmarks_at(20 * STEP, thumbnail=lambda: OTHER_ROOM)) == {1}


def test_a_single_detection_is_a_false_alarm():
    tracker = track([([(50, 20), (200, 100)] if place == 4 else [(50, 20)], ROOM) for place in range(10)])
    assert spans(tracker) == {0: (0, 9)}


def test_a_single_detection_frame_is_enough_if_it_is_the_only_one():
    assert len(track([([(50, 20)], ROOM)]).tracks()) == 1


def test_no_landmarks_beyond_a_run():
    """The face is detected at 3..6; nearer to 2 or 7 it is not visible."""
    tracker = track([([(50, 20)] if 3 <= place <= 6 else [], ROOM) for place in range(12)])
    present = [0 in tracker.landmarks_at(time * STEP, thumbnail=lambda: ROOM) for time in (2.4, 2.6, 5, 6.4, 6.6)]
    assert present == [False, True, True, True, False]


def test_tracks_can_be_limited_to_a_span():
    tracker = track([([(50, 20)], ROOM) for _ in range(20)])
    part = tracker.tracks(start_seconds=5 * STEP, end_seconds=10 * STEP)
    assert len(part[0].times) == 5
    assert tracker.tracks(start_seconds=100) == ()


def test_time_must_increase():
    tracker = track([([], ROOM)])
    with pytest.raises(ValueError, match="time must increase"):
        tracker.update(0.0, faces(), thumbnail=ROOM)


def test_smoothing_does_not_lag_behind_steady_movement():
    times = np.arange(12) * STEP
    landmarks = (np.array([[10.0, 5.0]]) * times[:, None])[:, None] + POINTS * 40
    for at in (0.0, 3.3 * STEP, times[-1]):
        np.testing.assert_allclose(run_landmarks(times, landmarks, at=at), at * np.array([10, 5]) + POINTS * 40)


def test_smoothing_reduces_jitter():
    rng = np.random.default_rng(0)
    times = np.arange(200) / 15
    noisy = POINTS * 40 + rng.normal(scale=1.0, size=(200, 5, 2))
    smooth = np.stack([run_landmarks(times, noisy, at=time) for time in times])
    assert np.std(np.diff(smooth, axis=0)) < 0.35 * np.std(np.diff(noisy, axis=0))


def test_landmarks_between_distant_detections_use_both():
    times = np.array([0.0, 0.45])
    landmarks = np.stack([POINTS * 40, POINTS * 40 + 9.0])
    np.testing.assert_allclose(run_landmarks(times, landmarks, at=0.225), POINTS * 40 + 4.5)
    np.testing.assert_allclose(
        run_landmarks(times, landmarks, at=-0.1), run_landmarks(times, landmarks, at=0.0), atol=1
    )
    assert RUN_GAP_SECONDS >= 0.45


def test_return_costs():
    left = np.array([[0.0, 0, 40, 40]])
    tracks = np.array([[0.0, 0, 40, 40], [30, 0, 70, 40], [50, 0, 90, 40], [-40, -40, 80, 80]])
    costs = return_costs(tracks, left)[:, 0]
    assert costs[0] == 0 and costs[1] == pytest.approx(0.75)
    assert costs[2] > 1 and costs[3] > 1


def test_distant_detections_have_no_weight():
    frames = [([(10 + 30 * np.sin(place / 9), 20)], ROOM) for place in range(200)]
    tracker = track(frames)
    (whole,) = tracker.tracks()
    for time in (0.0, 40.3 * STEP, 100 * STEP, 199 * STEP):
        expected = run_landmarks(whole.times, whole.landmarks, at=time)
        np.testing.assert_allclose(tracker.landmarks_at(time, thumbnail=lambda: ROOM)[0], expected, atol=1e-6)


def test_span_tracks_are_subsets_of_the_full_tracks():
    tracker = track([([(10, 20)] if place % 20 < 12 else [], ROOM) for place in range(60)])
    (whole,), (part,) = tracker.tracks(), tracker.tracks(start_seconds=5 * STEP, end_seconds=45 * STEP)
    inside = (whole.times >= 5 * STEP) & (whole.times < 45 * STEP)
    np.testing.assert_array_equal(part.times, whole.times[inside])
    np.testing.assert_array_equal(part.landmarks, whole.landmarks[inside])
