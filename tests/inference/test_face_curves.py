"""A face's timeline as a report tells it."""

import numpy as np
import pytest

from microemo.inference.face_curves import (
    attended_timeline,
    event_evidence,
    expression_scores,
    presence_evidence,
    strongest_moments,
)
from microemo.processing.clip import Clip, Utterance
from microemo.processing.facial_events import FaceScores, detect_events

LABELS = ("neutral", "happiness", "anger")


def timeline_of(happiness, *, fps=10.0, micro=None, track_id=1):
    happiness = np.asarray(happiness, dtype=float)
    expressions = np.stack([1 - happiness, happiness, np.zeros_like(happiness)], axis=1)
    times = np.arange(len(happiness)) / fps
    return detect_events(FaceScores(track_id, times, expressions=expressions, micro=micro))


def texts(timeline, *, start=0.0, end=60.0):
    return [one.text for one in event_evidence(timeline, labels=LABELS, start_seconds=start, end_seconds=end)]


def test_means_of_a_span_strongest_first():
    scores = expression_scores(timeline_of([0.0] * 10 + [1.0] * 10), labels=LABELS, start_seconds=1.4, end_seconds=2.0)
    assert [(score.label, score.probability) for score in scores] == [
        ("happiness", 1.0),
        ("neutral", 0.0),
        ("anger", 0.0),
    ]


def test_an_unseen_or_untrained_face_has_no_means():
    span = {"labels": LABELS, "start_seconds": 5.0, "end_seconds": 6.0}
    assert expression_scores(timeline_of([0.5] * 10), **span) is None
    assert expression_scores(detect_events(FaceScores(0, np.arange(70) / 10)), **span) is None


def test_a_macro_expression_is_told_with_its_times():
    smile = timeline_of([0.1] * 6 + [0.1, 0.3, 0.5, 0.7, 0.9] + [0.9] * 20 + [0.05] * 10)
    (evidence,) = event_evidence(smile, labels=LABELS, start_seconds=0.0, end_seconds=4.0)
    assert evidence.text == "happiness from 0.7 to 3.1 s, mean 0.80" and evidence.kind == "face"
    assert evidence.seconds == pytest.approx(0.7, abs=0.05)
    assert texts(smile, start=3.0) == ["neutral, mean 0.85"]  # a tenth of a second of it is none


def test_a_steady_face_says_so():
    (evidence,) = event_evidence(timeline_of(np.full(10, 0.05)), labels=LABELS, start_seconds=0, end_seconds=1)
    assert evidence.text == "neutral, mean 0.95" and evidence.seconds is None


def test_an_unclear_or_unseen_face_says_nothing():
    even = np.full((10, 3), 1 / 3)
    assert texts(detect_events(FaceScores(1, np.arange(10) / 10, expressions=even))) == []
    assert texts(timeline_of([])) == [] and texts(timeline_of([0.05] * 10), start=5.0) == []


def test_the_longest_macro_expressions_in_order_of_time():
    on, off = [0.9] * 8, [0.0] * 8
    four = timeline_of([*on, *off, *on, *on, *off, *on, *on, *off, *on, *on])
    assert [text[:14] for text in texts(four)] == ["happiness from"] * 3
    begins = [float(text.split()[2]) for text in texts(four)]
    assert begins == sorted(begins) and begins[0] > 1


def test_micro_expressions_by_their_apex():
    times = np.arange(60) / 30
    micro = np.clip(1 - np.abs(times - 1.0) / 0.2, 0, None)
    known = timeline_of(np.where(np.abs(times - 1.0) < 0.15, 0.4, 0.1), fps=30, micro=micro)
    assert texts(known) == ["neutral, mean 0.85", "micro-expression of happiness, apex 1.0 s"]
    assert texts(known, start=1.5)[1:] == []
    unnamed = detect_events(FaceScores(1, times, micro=micro))
    assert texts(unnamed) == ["micro-expression, apex 1.0 s"]


@pytest.mark.parametrize(
    ("times", "texts"),
    [
        (np.arange(0, 4, 0.1), []),
        (np.arange(2.1, 4, 0.1), ["first seen at 2.1 s"]),
        (np.arange(0, 2, 0.1), ["last seen at 1.9 s"]),
        (np.concatenate([np.arange(0, 1, 0.1), np.arange(3, 4, 0.1)]), ["not seen between 0.9 and 3.0 s"]),
        (np.array([4.0, 4.1]), []),  # seen in the next utterance alone
        (np.zeros(0), []),
    ],
)
def test_presence(times, texts):
    assert [evidence.text for evidence in presence_evidence(times, start_seconds=0, end_seconds=4)] == texts


def test_moments_worth_a_picture():
    rise = timeline_of(np.concatenate([np.full(10, 0.1), np.linspace(0.1, 0.9, 5), np.full(5, 0.8)]))
    first, last = strongest_moments(rise, count=2)
    assert first < 1.0 and 1.3 <= last <= 1.7
    assert strongest_moments(rise, count=1) == (first,)
    assert strongest_moments(timeline_of([]), count=2) == ()
    assert strongest_moments(detect_events(FaceScores(0, np.arange(3.0))), count=2) == ()


def test_whom_the_reader_chose_is_attended():
    people = [timeline_of([0.1] * 30, track_id=1), timeline_of([0.1] * 15, track_id=2)]
    spoken = (Utterance(0.0, 1.0), Utterance(1.0, 3.0), Utterance(5.0, 6.0))

    def attended(chosen):
        clip = Clip("clip.mp4", 0.0, 9.0, spoken, utterance_track_ids=chosen)
        lines = [attended_timeline(clip, number, timelines=people) for number in range(3)]
        return [None if line is None else line.track_id for line in lines]

    assert attended((2, 2, 2)) == [2, 2, None]
    assert attended((2, None, 1)) == [2, None, None]
    assert attended(()) == [1, 1, None]
