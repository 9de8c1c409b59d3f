"""What the tokens of a segment shall say."""

import numpy as np

from microemo.processing.clip import Clip, Utterance
from microemo.training.example import EmotionTargets, FaceEvent, FaceTimeline
from microemo.training.segment_words import segment_spans, video_words, voice_words

SMILE = FaceEvent("macro", "happiness", 1.75, 2.2, 3.1)
FLASH = FaceEvent("micro", "fear", 3.3, 3.42, 3.6, intensity=0.4)


def clip(*spans, faces=(0.0, 12.0)):
    times = np.arange(*faces, 0.1)
    return Clip(
        "clip",
        0.0,
        12.0,
        tuple(Utterance(start, end, "words") for start, end in spans),
        face_crops=np.zeros((len(times), 4, 4, 3), np.uint8),
        face_times=times,
        face_track_ids=np.zeros(len(times), np.int64),
    )


def test_a_segment_says_its_macro_and_its_micro_expression():
    words = video_words(FaceTimeline((SMILE, FLASH)), clip=clip((1.5, 3.2), (3.25, 4.0)))
    assert words[0] == (" joy", "1", "8", "3", "1", " fear", "3", "4")
    assert words[1] == (" joy", "1", "8", "3", "1", " none", None, None)
    assert words[2] == (" none", None, None, None, None, " fear", "3", "4")


def test_times_move_with_the_clip():
    words = video_words(FaceTimeline((SMILE, FLASH)), clip=clip((1.5, 4.0)), shift_seconds=8.0)
    assert words[1] == (" joy", "9", "8", " eleven", "1", " fear", " eleven", "4")


def test_the_strongest_of_several_micro_expressions_is_said():
    weak = FaceEvent("micro", "anger", 2.0, 2.1, 2.2, intensity=0.2)
    assert video_words(FaceTimeline((weak, FLASH)), clip=clip())[0][5:] == (" fear", "3", "4")


def test_no_face_and_no_truth():
    nobody = video_words(FaceTimeline((SMILE,)), clip=clip((1.5, 3.0), faces=(5.0, 12.0)))
    assert nobody[1][0] == nobody[1][5] == " nobody"
    assert set(video_words(None, clip=clip())[0]) == {None}


def test_every_token_says_what_the_voice_is():
    targets = (EmotionTargets(closed_label="angry"),)
    assert voice_words(clip((1.0, 2.0)), targets=targets, count=3) == [(" anger",) * 3, (" anger",) * 3]


def test_a_clip_of_several_voices_has_no_single_one():
    targets = (EmotionTargets(closed_label="calm"), EmotionTargets())
    words = voice_words(clip((1.0, 2.0), (3.0, 4.0)), targets=targets, count=1)
    assert words == [(None,), (" calm",), (None,)]


def test_the_clip_comes_first():
    assert segment_spans(clip((1.0, 2.0))) == ((0.0, 12.0), (1.0, 2.0))
