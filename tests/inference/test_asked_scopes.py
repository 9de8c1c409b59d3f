"""What each question can be answered from."""

from dataclasses import replace

import numpy as np

from microemo.inference.asked_scopes import MOST_MOMENTS, asked_scopes
from microemo.inference.report import MicroExpression
from microemo.processing.clip import Clip, Utterance


def clip(*, texts=("I am here", ""), face_times=(1.0, 1.2), waveform=True):
    spoken = tuple(Utterance(start, start + 2.0, text) for start, text in zip((0.0, 2.5), texts, strict=True))
    times = np.array(face_times)
    return Clip(
        "clip.mp4",
        0.0,
        5.0,
        spoken,
        face_crops=np.zeros((len(times), 8, 8, 3), np.uint8),
        face_times=times,
        face_track_ids=np.zeros(len(times), int),
        waveform=np.zeros(80_000, np.float32) if waveform else None,
    )


def test_the_whole_clip_comes_first_and_holds_all_words():
    whole, first, second = asked_scopes(clip(texts=("I am here", "So?")))
    assert whole.said == (*first.said, *second.said)
    assert (first.said, second.said) == ((("I am here", 0.0, 2.0),), (("So?", 2.5, 4.5),))


def test_a_face_belongs_to_the_utterances_in_which_it_is_seen():
    assert [scope.has_face for scope in asked_scopes(clip(face_times=(1.0, 1.2)))] == [True, True, False]
    assert [scope.has_face for scope in asked_scopes(clip(face_times=(2.2, 2.3)))] == [True, False, False]
    bare = replace(clip(), face_crops=None, face_times=None, face_track_ids=None)
    assert not any(scope.has_face for scope in asked_scopes(bare))


def test_what_is_missing_is_named():
    assert [scope.missing for scope in asked_scopes(clip())] == [set(), set(), {"words"}]
    silent = asked_scopes(clip(texts=("", " "), waveform=False))
    assert all(scope.missing == {"voice", "words"} for scope in silent)


def found(*apexes_and_scores):
    return [MicroExpression(0, apex - 0.1, apex, apex + 0.1, score) for apex, score in apexes_and_scores]


def times(scope):
    return tuple(moment.apex_seconds for moment in scope.moments)


def test_micro_expressions_belong_to_the_utterances_in_which_they_peak():
    scopes = asked_scopes(clip(), found=found((1.0, 0.9), (2.2, 0.9), (3.0, 0.9)))
    assert [times(scope) for scope in scopes] == [(1.0, 3.0), (1.0,), (3.0,)]


def test_the_clearest_are_told_in_order_of_time():
    events = found((0.2, 0.7), (0.8, 0.5), (1.4, 0.9))
    assert len(events) > MOST_MOMENTS
    assert times(asked_scopes(clip(), found=events)[1]) == (0.2, 1.4)


def test_times_are_counted_from_the_clip_s_start():
    window = replace(
        clip(), start_seconds=60.0, end_seconds=65.0, utterances=(Utterance(60.0, 62.0, "a"), Utterance(62.5, 64.0))
    )
    first = asked_scopes(window, found=found((61.5, 0.9)))[1]
    assert times(first) == (1.5,) and first.said == (("a", 0.0, 2.0),)


def test_what_a_micro_expression_shows_is_told_by_its_noun():
    first, second = found((0.5, 0.9), (1.5, 0.9))
    told = asked_scopes(clip(), found=[replace(first, expression="happiness"), second])[1].moments
    assert [moment.noun for moment in told] == ["joy", None]
