"""What a micro-expression shows is what comes and goes with it, not what the face shows anyway."""

from dataclasses import replace

import numpy as np
import pytest

from microemo.inference.brief_expressions import with_expressions
from microemo.inference.report import MicroExpression
from microemo.inference.report_building import HeadLabels, face_timelines
from microemo.inference.window_analysis import FaceFindings, WindowFindings
from microemo.processing.clip import Clip, Utterance

LABELS = ("neutral", "happiness", "fear")
TIMES = np.arange(60) / 30
AT_REST = np.tile((0.9, 0.05, 0.05), (60, 1))
EVENT = MicroExpression(track_id=0, onset_seconds=0.8, apex_seconds=0.9, offset_seconds=1.1, score=0.8)


def expressions(*heights, events=(EVENT,)):
    """Of events: heights are rows (before and after, at the apex) of probabilities."""
    without, at_apex = (np.array(height, dtype=float) for height in heights)
    moving = np.where(((TIMES > 0.79) & (TIMES < 1.11))[:, None], at_apex, without)
    found = with_expressions(events, times=TIMES, moving=moving, labels=LABELS)
    return [event.expression for event in found]


def test_what_rises_at_the_apex_is_shown():
    assert expressions((0.98, 0.01, 0.01), (0.3, 0.1, 0.6)) == ["fear"]


def test_what_lasts_is_not_what_is_brief():
    assert expressions((0.2, 0.79, 0.01), (0.1, 0.6, 0.3)) == ["fear"]


def test_a_rise_from_nothing_to_nearly_nothing_is_none():
    assert expressions((0.8999, 0.1, 0.0001), (0.497, 0.5, 0.003)) == ["happiness"]


def test_neutral_is_never_shown():
    assert expressions((0.01, 0.5, 0.49), (0.9, 0.06, 0.04)) != ["neutral"]


def test_at_the_edge_of_what_is_seen_the_nearest_crops_count():
    first = MicroExpression(track_id=0, onset_seconds=0.0, apex_seconds=0.03, offset_seconds=0.1, score=0.8)
    moving = AT_REST.copy()
    moving[:3] = (0.2, 0.1, 0.7)
    (found,) = with_expressions((first,), times=TIMES, moving=moving, labels=LABELS)
    assert found.expression == "fear"


def test_everything_else_of_an_event_stays():
    (found,) = with_expressions((EVENT,), times=TIMES, moving=AT_REST, labels=LABELS)
    assert (found.onset_seconds, found.apex_seconds, found.score) == (0.8, 0.9, 0.8)
    assert with_expressions((), times=TIMES, moving=AT_REST, labels=LABELS) == ()


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"moving must have shape \(60, 3\), got \(60, 2\)"):
        with_expressions((EVENT,), times=TIMES, moving=np.zeros((60, 2)), labels=LABELS)


def test_a_face_s_timeline_says_what_its_events_show():
    brief = (TIMES > 0.79) & (TIMES < 1.11)
    moving = AT_REST.copy()
    moving[brief] = (0.2, 0.1, 0.7)
    faces = FaceFindings(TIMES, np.zeros(60, int), AT_REST, np.where(brief, 0.9, 0.01), None, moving)
    clip = Clip("clip.mp4", 0.0, 2.0, (Utterance(0.0, 2.0, "words"),))
    labels = HeadLabels(emotions=(), expressions=LABELS, action_units=())

    def shown(found):
        (timeline,) = face_timelines([WindowFindings(clip, frozenset(), found)], labels=labels)
        return [event.expression for event in timeline.events]

    assert shown(faces) == ["fear"]
    assert shown(replace(faces, moving=None)) == [None]
