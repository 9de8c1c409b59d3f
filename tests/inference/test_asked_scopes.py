"""What each question can be answered from."""

from dataclasses import replace

import numpy as np

from microemo.processing.facial_events import FaceTimeline, FacialEvent
from microemo.inference.asked_scopes import MOST_MOMENTS, asked_scopes
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


LABELS = ("neutral", "happiness", "boredom")


def micro(apex, *, probability=0.9, expression=None, track_id=0):
    shares = np.zeros(0) if expression is None else np.eye(3)[LABELS.index(expression)]
    return FacialEvent("micro", track_id, apex - 0.1, apex, apex + 0.1, probability, shares)


def macro(onset, offset, *, expression="happiness", track_id=0):
    shares = np.eye(3)[LABELS.index(expression)]
    return FacialEvent("macro", track_id, onset, (onset + offset) / 2, offset, 0.8, shares)


def person(*, micros=(), macros=(), times=(1.0, 1.2, 3.0), track_id=0):
    return FaceTimeline(track_id, np.array(times), np.zeros((len(times), 3)), macros, tuple(micros))


def scopes(*people, clip, **changes):
    return asked_scopes(replace(clip, **changes), timelines=people, labels=LABELS)


def apexes(scope):
    return tuple(moment.apex_seconds for moment in scope.moments)


def test_micro_expressions_belong_to_the_utterances_in_which_they_peak():
    face = person(micros=[micro(1.0), micro(2.2), micro(3.0)])
    assert [apexes(scope) for scope in scopes(face, clip=clip())] == [(1.0, 3.0), (1.0,), (3.0,)]


def test_one_at_an_utterance_s_end_is_the_next_one_s():
    spoken = (Utterance(0.0, 1.8, "a"), Utterance(1.8, 4.0, "b"))
    asked = scopes(person(micros=[micro(1.8)]), clip=clip(), utterances=spoken)
    assert [apexes(scope) for scope in asked] == [(1.8,), (), (1.8,)]


def test_the_clearest_are_told_in_order_of_time():
    events = [micro(0.2, probability=0.7), micro(0.8, probability=0.5), micro(1.4, probability=0.9)]
    assert len(events) > MOST_MOMENTS
    assert apexes(scopes(person(micros=events), clip=clip())[1]) == (0.2, 1.4)


def test_times_are_counted_from_the_clip_s_start():
    spoken = (Utterance(60.0, 62.0, "a"), Utterance(62.5, 64.0))
    face = person(micros=[micro(61.5)], macros=[macro(60.5, 61.25)], times=(60.5, 61.5))
    first = scopes(face, clip=clip(), start_seconds=60.0, end_seconds=65.0, utterances=spoken)[1]
    assert apexes(first) == (1.5,) and first.said == (("a", 0.0, 2.0),)
    assert first.lasting == (("joy", 0.5, 1.25, 0.0, 2.0, False),)


def test_what_a_micro_expression_shows_is_told_by_its_noun():
    face = person(micros=[micro(0.5, expression="happiness"), micro(1.5)])
    assert [moment.noun for moment in scopes(face, clip=clip())[1].moments] == ["joy", None]


def test_each_utterance_has_its_own_macro_expression():
    face = person(macros=(macro(0.5, 1.0), macro(1.0, 2.1, expression="boredom")))
    whole, first, second = scopes(face, clip=clip())
    assert [one.noun for one in first.lasting] == ["boredom"] and not first.lasting[0].is_held
    assert [one.noun for one in second.lasting] == [None]  # at rest
    assert whole.lasting == (*first.lasting, *second.lasting)


def test_one_that_fills_an_utterance_is_held():
    (told,) = scopes(person(macros=(macro(-0.5, 2.5),)), clip=clip())[1].lasting
    assert told.is_held and told.noun == "joy"


def test_nothing_is_said_of_an_unseen_face_or_untrained_expressions():
    unseen = person(macros=(macro(0.5, 1.5),), times=(1.0,))
    assert scopes(unseen, clip=clip())[2].lasting == ()
    untrained = FaceTimeline(0, np.array([1.0]), None, None, (micro(1.0),))
    first = scopes(untrained, clip=clip())[1]
    assert first.lasting == () and apexes(first) == (1.0,)


def test_of_two_people_the_attended_one_s_are_told():
    anna = person(micros=[micro(0.5), micro(3.0)], macros=(macro(0.2, 4.4),), track_id=1)
    ben = person(micros=[micro(0.6), micro(3.5)], macros=(macro(0.2, 4.4, expression="boredom"),), track_id=2)
    asked = scopes(anna, ben, clip=clip(), utterance_track_ids=(1, 2), face_track_ids=np.array([1, 1]))
    assert [apexes(scope) for scope in asked] == [(0.5, 3.5), (0.5,), (3.5,)]
    assert [one.noun for one in asked[0].lasting] == ["joy", "boredom"]
    assert [scope.has_face for scope in asked] == [True, True, False]  # Ben's crops are not there
