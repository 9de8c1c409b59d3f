"""Findings from perception."""

import numpy as np
import pytest

from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import (
    NO_FACE,
    Evidence,
    Perception,
    attended_timeline,
    face_timelines,
    speaking_manner,
    utterance_evidence,
    voice_evidence,
    words_evidence,
)
from microemo.processing.facial_actions import COLUMN
from microemo.processing.facial_events import FaceScores, detect_events
from microemo.processing.prosody import Prosody

EXPRESSIONS = ("neutral", "happiness", "fear")
UNITS = ("AU1", "AU12")
FPS = 30
FRAME = np.zeros((1, 4, 4, 3), np.uint8)


def clip_of(*tracks, utterances=((0.0, 3.0), (3.0, 6.0)), attended=(), actions=None):
    """A clip with faces at times (F,) each."""
    times = np.concatenate(tracks) if tracks else None
    if times is None:
        return Clip("a.mp4", 0.0, 6.0, _spoken(utterances), frames=FRAME, frame_times=np.zeros(1))
    ids = np.concatenate([np.full(len(track), number) for number, track in enumerate(tracks, start=1)])
    order = np.argsort(times, kind="stable")
    measured = (
        {}
        if actions is None
        else {
            "face_actions": actions[order].astype(np.float32),
            "head_pose": np.zeros((len(times), 3), np.float32),
            "gaze": np.zeros((len(times), 2), np.float32),
            "face_actions_mask": np.ones(len(times), bool),
        }
    )
    return Clip(
        "a.mp4",
        0.0,
        6.0,
        _spoken(utterances),
        face_crops=np.zeros((len(times), 4, 4, 3), np.uint8),
        face_times=times[order],
        face_track_ids=ids[order],
        utterance_track_ids=attended,
        frames=FRAME,
        frame_times=np.zeros(1),
        **measured,
    )


def _spoken(spans):
    return tuple(Utterance(*span, text="Well.") for span in spans)


def perceived(clip, *, smile=(), flash=None, smiling_track=1, **others):
    """Perception of a clip's faces: one smiles in given spans and shows a micro-expression of fear."""
    times, ids = clip.face_times, clip.face_track_ids
    smiles = np.zeros(len(times))
    for start, end in smile:
        smiles[(times >= start) & (times < end) & (ids == smiling_track)] = 0.9
    flashes = np.zeros(len(times)) if flash is None else np.clip(1 - np.abs(times - flash) / 0.2, 0, 1)
    flashes[ids != smiling_track] = 0
    fear = flashes * (1 - smiles)
    expressions = np.stack([1 - smiles - fear, smiles, fear], 1)
    return Perception(
        expressions=expressions,
        micro=flashes,
        motion=expressions,
        action_units=np.stack([flashes, smiles], 1),
        expression_labels=EXPRESSIONS,
        action_unit_labels=UNITS,
        **others,
    )


def evidence_of(clip, perception, prosody=None):
    timelines = face_timelines(perception, clip)
    return utterance_evidence(perception, clip, timelines=timelines, prosody=prosody or [None] * len(clip.utterances))


ALWAYS = np.arange(0, 6, 1 / FPS)


def test_macro_expressions_have_times_and_certainty():
    clip = clip_of(ALWAYS)
    first, second = evidence_of(clip, perceived(clip, smile=[(1.0, 2.5)]))
    (smile,) = first
    assert (smile.kind, smile.label) == ("face", "happiness") and smile.certainty > 0.6
    assert smile.start_seconds == pytest.approx(1.0, abs=0.3) and smile.end_seconds == pytest.approx(2.5, abs=0.3)
    (rest,) = second
    assert (rest.label, rest.start_seconds, rest.end_seconds) == ("neutral", 3.0, 6.0) and rest.certainty > 0.9


def test_micro_expressions_have_onset_apex_offset_and_units():
    clip = clip_of(ALWAYS)
    _, second = evidence_of(clip, perceived(clip, flash=4.0))
    (flash,) = [findings for findings in second if findings.kind == "micro_expression"]
    assert flash.label == "fear" and flash.signs == ("AU1",)
    assert flash.start_seconds < flash.apex_seconds < flash.end_seconds
    assert flash.apex_seconds == pytest.approx(4.0, abs=0.04)


def test_signs_are_units_of_the_expression_above_rest():
    actions = np.zeros((len(ALWAYS), 52))
    smiling = (ALWAYS >= 1.0) & (ALWAYS < 2.5)
    for name in ("mouthSmileLeft", "mouthSmileRight", "jawOpen", "browDownLeft", "browDownRight"):
        actions[smiling, COLUMN[name]] = 0.8
    clip = clip_of(ALWAYS, actions=actions)
    (smile,), _ = evidence_of(clip, perceived(clip, smile=[(1.0, 2.5)]))
    assert smile.signs == ("AU12",), "an open jaw speaks, and lowered brows are none of happiness"


def test_each_utterance_has_the_attended_persons_evidence():
    clip = clip_of(ALWAYS, ALWAYS, attended=(1, 2))
    perception = perceived(clip, smile=[(0.0, 6.0)], smiling_track=2)
    first, second = evidence_of(clip, perception)
    assert [findings.label for findings in first] == ["neutral"] and [findings.label for findings in second] == [
        "happiness"
    ]


def test_absent_faces_are_reported():
    clip = clip_of(np.concatenate([np.arange(0, 1, 1 / FPS), np.arange(2.5, 3, 1 / FPS)]))
    first, second = evidence_of(clip, perceived(clip))
    (away,) = [findings for findings in first if findings.kind == "scene"]
    assert away.label == NO_FACE and (away.start_seconds, away.end_seconds) == pytest.approx((1, 2.5), abs=0.05)
    assert [(findings.kind, findings.label) for findings in second] == [("scene", NO_FACE)]
    nobody = clip_of()
    assert [findings.kind for findings in evidence_of(nobody, Perception())[0]] == ["scene"]


def test_clips_without_frames_have_no_scene_evidence():
    clip = Clip("a.wav", 0.0, 6.0, _spoken([(0.0, 3.0)]), waveform=np.zeros(96_000, np.float32))
    assert evidence_of(clip, Perception()) == ((),)


def test_the_longest_expressions_are_kept_in_order_of_time():
    clip = clip_of(ALWAYS, utterances=[(0.0, 6.0)])
    perception = perceived(clip, smile=[(0.2, 1.0), (1.8, 3.4), (4.0, 5.8)])
    smiles = [findings for findings in evidence_of(clip, perception)[0] if findings.kind == "face"]
    assert len(smiles) == 2 and 1.5 < smiles[0].start_seconds < smiles[1].start_seconds


def test_voice_and_words_give_their_strongest_labels():
    span = (0.0, 2.0)
    voice = voice_evidence(
        np.array([0.6, 0.3, 0.1]), Prosody(pitch_semitones=4.2), span, labels=("joy", "calm", "fear")
    )
    assert [(findings.label, findings.certainty) for findings in voice] == [("joy", 0.6), ("calm", 0.3)]
    assert voice[0].signs == ("high",) and voice[0].pitch_semitones == 4.2 and voice[1].signs == ()
    words = words_evidence(np.array([0.1, 0.05, 0.15]), span, labels=("joy", "anger", "neutral"))
    assert [findings.label for findings in words] == ["neutral"], "the strongest is told however weak, others are not"
    assert words_evidence(None, span, labels=()) == []


def test_prosody_is_kept_if_vocal_emotions_are_untrained():
    loud = Prosody(loudness_decibels=8.0)
    assert [findings.signs for findings in voice_evidence(None, loud, (0, 1), labels=())] == [("loud",)]
    assert voice_evidence(np.full(2, np.nan), Prosody(), (0, 1), labels=("joy", "calm")) == []
    assert voice_evidence(np.array([1.0]), None, (0, 1), labels=("joy",)) == [], "nothing is heard"


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({"pitch_semitones": -3.0, "syllables_per_second": 6.0}, ("low", "fast")),
        ({"pitch_range_semitones": 2.0, "loudness_decibels": -6.0}, ("monotonous", "soft")),
        ({"pause_share": 0.4}, ("halting",)),
        ({"pause_share": 0.0, "pitch_semitones": 0.5}, ()),
        ({}, ()),
    ],
)
def test_unusual_prosody_is_described(measured, words):
    assert speaking_manner(Prosody(**measured)) == words


def test_the_readers_choice_is_attended():
    people = [
        detect_events(FaceScores(track, np.arange(count) / 10, expressions=np.full((count, 3), 1 / 3)))
        for track, count in ((1, 30), (2, 15))
    ]
    spoken = (Utterance(0.0, 1.0), Utterance(1.0, 3.0), Utterance(5.0, 6.0))

    def attended(chosen):
        clip = Clip("clip.mp4", 0.0, 9.0, spoken, utterance_track_ids=chosen)
        lines = [attended_timeline(clip, number, timelines=people) for number in range(3)]
        return [None if line is None else line.track_id for line in lines]

    assert attended((2, 2, 2)) == [2, 2, None]
    assert attended((2, None, 1)) == [2, None, None]
    assert attended(()) == [1, 1, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "smell"}, "kind must be one of face"),
        ({"certainty": 1.2}, "certainty must be in"),
        ({"start_seconds": 5.0}, "must be <= end_seconds"),
    ],
)
def test_invalid_findings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Evidence(**{"kind": "face", "label": "joy", "start_seconds": 0.0, "end_seconds": 1.0, **changes})
