import numpy as np

from microemo.processing.detected_faces import FaceDetections
from microemo.processing.detection_record import DetectionRecord
from microemo.processing.face_tracking import FaceTracker

ROOM = np.full((18, 32), 100, dtype=np.float32)


def faces(*lefts):
    boxes = np.array([[left, 10, left + 40, 50] for left in lefts], dtype=np.float32).reshape(-1, 4)
    landmarks = np.repeat(boxes[:, None, :2], 5, axis=1) + np.arange(5, dtype=np.float32)[None, :, None]
    return FaceDetections(boxes, landmarks, np.full(len(lefts), 0.9, np.float32))


FOUND = [(0.0, faces(10, 200), ROOM), (0.1, faces(), ROOM), (0.2, faces(201), ROOM + 1), (0.3, faces(12, 202), ROOM)]


def test_replay_restores_the_tracker():
    first, second = FaceTracker(), FaceTracker()
    for time, detections, thumbnail in FOUND:
        first.update(time, detections, thumbnail=thumbnail)
    DetectionRecord.from_arrays(DetectionRecord.of(FOUND).arrays()).replay(second)
    assert first.time == second.time
    for one, other in zip(first.tracks(), second.tracks(), strict=True):
        assert one.track_id == other.track_id
        for name in ("times", "boxes", "landmarks", "scores"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_record_may_be_empty():
    record = DetectionRecord.of([])
    tracker = FaceTracker()
    record.replay(tracker)
    assert tracker.tracks() == () and record.boxes.shape == (0, 4)
