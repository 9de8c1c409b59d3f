"""Faces that are followed: what is looked at, and that it finds what a search of every frame finds."""

import numpy as np
import pytest
from synthetic_faces import background, drifting_portrait, place, portrait

from microemo.processing.camera_views import view_thumbnail
from microemo.processing.detected_faces import FaceDetections, box_overlaps, join_detections
from microemo.processing.face_detection import CenterFaceDetector, square_around
from microemo.processing.face_following import FaceFollower

STEP = 1 / 7.5
FRAME = np.full((90, 160, 3), 100, dtype=np.uint8)


def faces(*lefts):
    boxes = np.array([[left, 10, left + 20, 30] for left in lefts], dtype=np.float32).reshape(-1, 4)
    return FaceDetections(boxes, np.zeros((len(lefts), 5, 2), np.float32), np.full(len(lefts), 0.9, np.float32))


class Recorder:
    """A detector that knows where the faces are and writes down how it was asked."""

    def __init__(self, *lefts, most=2):
        self.lefts, self.most, self.asked = list(lefts), most, []

    def detect(self, frames):
        self.asked.append("S")
        return [faces(*self.lefts) for _ in frames]

    def detect_near(self, frame, boxes):
        self.asked.append("f")
        return [faces(left) if (left := int(box[0])) in self.lefts else faces() for box in boxes]

    def follows(self, frame, *, count):
        return count <= self.most


def look(follower, *, first, count=1, picture=FRAME):
    times = (first + np.arange(count)) * STEP
    pictures = np.repeat(picture[None], count, axis=0)
    return follower.detect(times, pictures, thumbnails=[view_thumbnail(each) for each in pictures])


def test_the_frame_is_searched_now_and_then():
    detector = Recorder(5)
    look(FaceFollower(detector, search_fps=1.5), first=0, count=11)
    assert "".join(detector.asked) == "Sf" + "ffff" + "Sf" + "ffff" + "Sf"  # a search is followed by a closer look


def test_a_lost_face_and_a_cut_are_searched_for():
    detector = Recorder(5)
    follower = FaceFollower(detector, search_fps=0.1)
    look(follower, first=0, count=2)
    detector.asked.clear()
    detector.lefts = [60]
    assert look(follower, first=2)[0].boxes[0, 0] == 60 and detector.asked == ["f", "S", "f"]
    detector.asked.clear()
    look(follower, first=3, picture=FRAME + 100)
    assert detector.asked == ["S", "f"]


def test_nobody_or_a_crowd_is_searched_in_every_frame():
    for detector in (Recorder(), Recorder(5, 40, 80)):
        found = look(FaceFollower(detector, search_fps=1.5), first=0, count=3)
        assert detector.asked == ["S"] * 3 and [len(each) for each in found] == [len(detector.lefts)] * 3


def test_time_that_goes_back_is_a_new_beginning():
    detector = Recorder(5)
    follower = FaceFollower(detector, search_fps=1.5)
    look(follower, first=10)
    look(follower, first=0)
    assert detector.asked == ["S", "f"] * 2


def test_a_plain_detector_gets_all_frames_at_once():
    class Plain:
        def detect(self, frames):
            return [faces(5)] * len(frames)

    assert len(look(FaceFollower(Plain(), search_fps=1.5), first=0, count=4)) == 4


def test_two_looks_at_one_face_are_one_face():
    joined = join_detections([faces(5), faces(6), faces(60)])
    assert joined.boxes[:, 0].tolist() == [5, 60]


@pytest.mark.parametrize("box", [(70, 30, 90, 50), (-40, -40, -20, -20), (150, 80, 300, 300), (10, 10, 10, 10)])
def test_a_square_stays_in_the_frame(box):
    region, corner = square_around(FRAME, box=np.array(box, dtype=float), reach=2.0)
    assert region.size > 0 and np.all(corner >= 0)
    assert np.all(corner + region.shape[1::-1] <= FRAME.shape[1::-1])


def test_following_finds_what_searching_finds():
    pictures = drifting_portrait(count=24, pixels_per_frame=3.0)
    times = np.arange(24) * STEP
    thumbnails = [view_thumbnail(picture) for picture in pictures]
    searched = CenterFaceDetector().detect(pictures)
    followed = FaceFollower(CenterFaceDetector(), search_fps=1.5).detect(times, pictures, thumbnails=thumbnails)
    for one, other in zip(searched, followed, strict=True):
        assert len(one) == len(other) == 1
        assert box_overlaps(one.boxes, other.boxes)[0, 0] > 0.75
        side = one.boxes[0, 2] - one.boxes[0, 0]
        assert np.abs(one.landmarks - other.landmarks).max() < 0.1 * side


def test_of_two_neighbours_each_keeps_its_place():
    frame = background(height=240, width=480)
    place(portrait(), on=frame, left=10, top=30)
    place(portrait(), on=frame, left=250, top=30)
    detector = CenterFaceDetector()
    (found,) = detector.detect(frame[None])
    near = detector.detect_near(frame, found.boxes)
    assert len(found) == 2 and [len(each) for each in near] == [1, 1]
    for place_, each in enumerate(near):
        assert box_overlaps(found.boxes[place_][None], each.boxes)[0, 0] > 0.6
