"""From the findings of windows to people and utterances."""

import numpy as np
import pytest

from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.report.building import (
    HeadLabels,
    clip_summary,
    joined_scores,
    person_timelines,
    utterance_reports,
)
from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import Perception, utterance_evidence
from microemo.processing.facial_events import FaceScores, detect_events

LABELS = HeadLabels(emotions=(), expressions=("neutral", "happiness", "fear"), action_units=("AU1", "AU12"))


def scores_of(times, *, smile=None, flash=None, track_id=1):
    """A face that smiles in a span and flashes fear around a moment."""
    smiles = np.zeros(len(times)) if smile is None else np.where((times >= smile[0]) & (times < smile[1]), 0.9, 0.0)
    flashes = np.zeros(len(times)) if flash is None else np.clip(1 - np.abs(times - flash) / 0.2, 0, 1)
    fear = flashes * (1 - smiles)
    expressions = np.stack([1 - smiles - fear, smiles, fear], axis=1)
    units = np.stack([flashes, smiles], axis=1)
    return FaceScores(track_id, times, expressions=expressions, micro=flashes, motion=expressions, action_units=units)


def window(*scores, utterances, start=0.0, end=6.0, attended=()):
    clip = Clip("clip.mp4", start, end, tuple(Utterance(*span) for span in utterances), utterance_track_ids=attended)
    timelines = tuple(detect_events(each) for each in scores)
    known = Perception(expression_labels=LABELS.expressions, action_unit_labels=LABELS.action_units)
    evidence = utterance_evidence(known, clip, timelines=timelines, prosody=[None] * len(clip.utterances))
    return ChunkPerception(clip, frozenset(), scores, timelines, evidence)


def reports_of(*windows):
    people = person_timelines(windows, labels=LABELS)
    return people, utterance_reports(windows, timelines=people, labels=LABELS)


def test_of_two_people_each_utterance_has_the_attended_one_s():
    times = np.arange(0, 6, 1 / 30)
    anna = scores_of(times, smile=(0.5, 5.0), track_id=1)
    ben = scores_of(times, flash=4.0, track_id=2)
    people, (first, second) = reports_of(window(anna, ben, utterances=[(0, 3), (3, 6)], attended=(1, 2)))
    assert [person.curve.track_id for person in people] == [1, 2]
    assert (first.track_id, second.track_id) == (1, 2)
    assert first.expressions[0].label == "happiness" and second.expressions[0].label == "neutral"
    assert first.micro_expressions == () and [event.track_id for event in second.micro_expressions] == [2]
    assert any("happiness" in one.text and "from 0." in one.text for one in first.evidence)
    assert not any("happiness" in one.text for one in second.evidence if one.kind == "face")
    alone, _ = reports_of(window(anna, utterances=[(0, 6)]))
    assert people[0].curve == alone[0].curve, "nothing of Ben's in Anna's"


def test_what_an_event_says():
    _, (utterance,) = reports_of(window(scores_of(np.arange(0, 6, 1 / 30), flash=3.0), utterances=[(0, 6)]))
    (event,) = utterance.micro_expressions
    assert (event.expression, event.track_id) == ("fear", 1) and event.apex_seconds == pytest.approx(3.0, abs=0.02)
    assert [unit.label for unit in event.action_units] == ["AU1"]


def test_an_event_at_an_utterance_s_end_is_told_once():
    times = np.round(np.arange(0, 6, 0.04), 3)
    face = scores_of(times, flash=2.0)
    assert [event.apex_seconds for event in detect_events(face).micro_expressions] == [2.0]
    _, (first, second) = reports_of(window(face, utterances=[(0.0, 2.0), (2.0, 6.0)]))
    assert (len(first.micro_expressions), len(second.micro_expressions)) == (0, 1)


def test_cutting_a_video_moves_no_event():
    times = np.arange(0, 6, 1 / 30)
    whole = window(scores_of(times, smile=(2.0, 4.0), flash=5.0), utterances=[(0, 3), (3, 6)])
    parts = [
        window(scores_of(times[rows], smile=(2.0, 4.0), flash=5.0), utterances=[span], start=span[0], end=span[1])
        for rows, span in ((times < 3.1, (0, 3)), (times >= 3.0, (3, 6)))
    ]
    events = [[each.micro_expressions for each in reports_of(*windows)[1]] for windows in ([whole], parts)]
    assert events[0] == events[1]
    (one,), (joined,) = reports_of(whole)[0], reports_of(*parts)[0]
    assert one.curve == joined.curve


def test_a_crop_of_two_windows_counts_once():
    first, second = (scores_of(np.array(times), track_id=4) for times in ([0.0, 0.1, 0.2], [0.2, 0.3]))
    joined = joined_scores([first, second])
    assert joined.track_id == 4 and joined.times.tolist() == [0.0, 0.1, 0.2, 0.3] and len(joined.micro) == 4


def test_untrained_outputs_are_none_and_the_face_stays():
    face = FaceScores(1, np.arange(10) / 10)
    people, (utterance,) = reports_of(window(face, utterances=[(0, 6)]))
    assert people[0].curve.expressions is people[0].curve.micro_scores is people[0].micro_expressions is None
    assert utterance.track_id == 1 and utterance.expressions is utterance.micro_expressions is None
    assert clip_summary([], utterances=[utterance], timelines=people).micro_expressions is None


def test_nobody_attended_is_nobody():
    face = scores_of(np.arange(0, 2, 0.1))
    _, (chosen, silent) = reports_of(window(face, utterances=[(0, 2), (3, 6)], attended=(None, 1)))
    assert chosen.track_id is silent.track_id is None and silent.expressions is None and chosen.evidence == ()


def test_findings_survive_the_journal_to_the_bit():
    times = np.arange(0, 6, 1 / 30)
    before = window(scores_of(times, smile=(2.0, 4.0), flash=5.0), utterances=[(0, 6)])
    after = from_plain(to_plain(before))
    assert len(after.timelines[0].macro_expressions) == len(after.timelines[0].micro_expressions) == 1
    assert reports_of(after)[1] == reports_of(before)[1]
    np.testing.assert_array_equal(after.faces[0].micro, before.faces[0].micro)
