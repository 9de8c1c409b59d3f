"""Face detection in regions of interest: which parts of a frame are searched, and that the results agree with full
search.
"""

import numpy as np
import pytest
from synthetic_faces import background, drifting_portrait, place, portrait

from microemo.processing.detected_faces import FaceDetections, box_overlaps, join_detections
from microemo.processing.face_detection import CenterFaceDetector, square_around
from microemo.processing.roi_detection import RoiDetector
from microemo.processing.shot_detection import frame_thumbnail

STEP = 1 / 7.5
FRAME = np.full((90, 160, 3), 100, dtype=np.uint8)


def faces(*lefts):
    boxes = np.array([[left, 10, left + 20, 30] for left in lefts], dtype=np.float32).reshape(-1, 4)
    return FaceDetections(boxes, np.zeros((len(lefts), 5, 2), np.float32), np.full(len(lefts), 0.9, np.float32))


class RecordingDetector:
    """A detector with known faces that records its calls: "S" for a whole frame, "r" for ROIs."""

    def __init__(self, *lefts, max_rois=2):
        self.lefts, self.max_rois, self.calls = list(lefts), max_rois, []

    def detect(self, frames):
        self.calls.append("S")
        return [faces(*self.lefts) for _ in frames]

    def detect_in_rois(self, frame, boxes):
        self.calls.append("r")
        return [faces(left) if (left := int(box[0])) in self.lefts else faces() for box in boxes]

    def prefers_rois(self, frame, *, count):
        return count <= self.max_rois


def detect(detector_in_rois, *, first, count=1, picture=FRAME):
    times = (first + np.arange(count)) * STEP
    pictures = np.repeat(picture[None], count, axis=0)
    return detector_in_rois.detect(times, pictures, thumbnails=[frame_thumbnail(each) for each in pictures])


def test_the_whole_frame_is_searched_periodically():
    detector = RecordingDetector(5)
    detect(RoiDetector(detector, search_fps=1.5), first=0, count=11)
    assert "".join(detector.calls) == "Sr" + "rrrr" + "Sr" + "rrrr" + "Sr"  # each search is followed by a refinement


def test_a_lost_face_and_a_shot_change_trigger_a_search():
    detector = RecordingDetector(5)
    detector_in_rois = RoiDetector(detector, search_fps=0.1)
    detect(detector_in_rois, first=0, count=2)
    detector.calls.clear()
    detector.lefts = [60]
    assert detect(detector_in_rois, first=2)[0].boxes[0, 0] == 60 and detector.calls == ["r", "S", "r"]
    detector.calls.clear()
    detect(detector_in_rois, first=3, picture=FRAME + 100)
    assert detector.calls == ["S", "r"]


def test_no_face_or_many_faces_are_searched_in_every_frame():
    for detector in (RecordingDetector(), RecordingDetector(5, 40, 80)):
        detections = detect(RoiDetector(detector, search_fps=1.5), first=0, count=3)
        assert detector.calls == ["S"] * 3 and [len(each) for each in detections] == [len(detector.lefts)] * 3


def test_time_that_goes_back_triggers_a_search():
    detector = RecordingDetector(5)
    detector_in_rois = RoiDetector(detector, search_fps=1.5)
    detect(detector_in_rois, first=10)
    detect(detector_in_rois, first=0)
    assert detector.calls == ["S", "r"] * 2


def test_a_detector_without_rois_gets_the_whole_batch():
    class Plain:
        def detect(self, frames):
            return [faces(5)] * len(frames)

    assert len(detect(RoiDetector(Plain(), search_fps=1.5), first=0, count=4)) == 4


def test_duplicate_detections_are_joined():
    joined = join_detections([faces(5), faces(6), faces(60)])
    assert joined.boxes[:, 0].tolist() == [5, 60]


@pytest.mark.parametrize("box", [(70, 30, 90, 50), (-40, -40, -20, -20), (150, 80, 300, 300), (10, 10, 10, 10)])
def test_the_square_stays_in_the_frame(box):
    region, corner = square_around(FRAME, box=np.array(box, dtype=float), reach=2.0)
    assert region.size > 0 and np.all(corner >= 0)
    assert np.all(corner + region.shape[1::-1] <= FRAME.shape[1::-1])


def test_roi_detection_agrees_with_full_search():
    pictures = drifting_portrait(count=24, pixels_per_frame=3.0)
    times = np.arange(24) * STEP
    thumbnails = [frame_thumbnail(picture) for picture in pictures]
    searched = CenterFaceDetector().detect(pictures)
    followed = RoiDetector(CenterFaceDetector(), search_fps=1.5).detect(times, pictures, thumbnails=thumbnails)
    for one, other in zip(searched, followed, strict=True):
        assert len(one) == len(other) == 1
        assert box_overlaps(one.boxes, other.boxes)[0, 0] > 0.75
        side = one.boxes[0, 2] - one.boxes[0, 0]
        assert np.abs(one.landmarks - other.landmarks).max() < 0.1 * side


def test_each_of_two_neighbours_is_found_in_its_own_roi():
    frame = background(height=240, width=480)
    place(portrait(), on=frame, left=10, top=30)
    place(portrait(), on=frame, left=250, top=30)
    detector = CenterFaceDetector()
    (detections,) = detector.detect(frame[None])
    near = detector.detect_in_rois(frame, detections.boxes)
    assert len(detections) == 2 and [len(each) for each in near] == [1, 1]
    for index, each in enumerate(near):
        assert box_overlaps(detections.boxes[index][None], each.boxes)[0, 0] > 0.6
