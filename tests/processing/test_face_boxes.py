import numpy as np
import pytest

from microemo.processing.face_boxes import boxed_landmarks_at, tracks_from_boxes
from microemo.processing.face_cropping import landmarks_from_boxes

ROWS = [[1.0, 20, 20, 60, 70], [0.0, 10, 20, 50, 70], [2.0, 40, 20, 80, 70]]


def test_boxes_are_sorted_by_time():
    (track,) = tracks_from_boxes(ROWS)
    assert track.track_id == 0 and track.times.tolist() == [0, 1, 2]
    np.testing.assert_allclose(track.landmarks, landmarks_from_boxes(track.boxes), atol=1e-4)


def test_track_ids_of_several_people():
    tracks = tracks_from_boxes({7: ROWS, 3: np.array(ROWS)})
    assert [track.track_id for track in tracks] == [7, 3]


def test_landmarks_are_interpolated_only_between_boxes():
    tracks = tracks_from_boxes(ROWS)
    between = boxed_landmarks_at(tracks, time=1.5)
    np.testing.assert_allclose(between[0], landmarks_from_boxes(np.array([30, 20, 70, 70])), atol=1e-4)
    assert boxed_landmarks_at(tracks, time=2.1) == {} == boxed_landmarks_at(tracks, time=-0.1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1, 2, 3]], r"rows of \(seconds, left, top, right, bottom\), got shape \(1, 4\)"),
        (np.zeros((0, 5)), "got shape"),
        ([[0, 1, 2, np.nan, 3]], "must be finite"),
        ([[0, 30, 2, 20, 40]], "right > left"),
        ([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]], "times must increase"),
    ],
)
def test_invalid_boxes_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        tracks_from_boxes(rows)
