"""What each question can be answered from."""

from dataclasses import replace

import numpy as np

from microemo.inference.asked_scopes import asked_scopes
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
    assert whole.texts == ("I am here", "So?")
    assert (first.texts, second.texts) == (("I am here",), ("So?",))


def test_a_face_belongs_to_the_utterances_in_which_it_is_seen():
    assert [scope.has_face for scope in asked_scopes(clip(face_times=(1.0, 1.2)))] == [True, True, False]
    assert [scope.has_face for scope in asked_scopes(clip(face_times=(2.2, 2.3)))] == [True, False, False]
    bare = replace(clip(), face_crops=None, face_times=None, face_track_ids=None)
    assert not any(scope.has_face for scope in asked_scopes(bare))


def test_what_is_missing_is_named():
    assert [scope.missing for scope in asked_scopes(clip())] == [set(), set(), {"words"}]
    silent = asked_scopes(clip(texts=("", " "), waveform=False))
    assert all(scope.missing == {"voice", "words"} for scope in silent)
