"""A face's timeline as a report tells it."""

import numpy as np

from microemo.inference.report.face_curves import expression_scores, strongest_moments
from microemo.processing.facial_events import FaceScores, detect_events

LABELS = ("neutral", "happiness", "anger")


def timeline_of(happiness, *, fps=10.0, micro=None, track_id=1):
    happiness = np.asarray(happiness, dtype=float)
    expressions = np.stack([1 - happiness, happiness, np.zeros_like(happiness)], axis=1)
    times = np.arange(len(happiness)) / fps
    return detect_events(FaceScores(track_id, times, expressions=expressions, micro=micro))


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


def test_moments_worth_a_picture():
    rise = timeline_of(np.concatenate([np.full(10, 0.1), np.linspace(0.1, 0.9, 5), np.full(5, 0.8)]))
    first, last = strongest_moments(rise, count=2)
    assert first < 1.0 and 1.3 <= last <= 1.7
    assert strongest_moments(rise, count=1) == (first,)
    assert strongest_moments(timeline_of([]), count=2) == ()
    assert strongest_moments(detect_events(FaceScores(0, np.arange(3.0))), count=2) == ()
