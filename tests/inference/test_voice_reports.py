"""How voices enter the report."""

import numpy as np
import pytest

from microemo.inference.chunk_analysis import ChunkPerception
from microemo.inference.report.building import HeadLabels, utterance_reports
from microemo.processing.clip import Clip, Utterance
from microemo.processing.prosody import VoiceTrace

LABELS = HeadLabels(emotions=(), expressions=(), action_units=(), voices=("neutral", "joy"))


def trace(semitones: float, *, seconds: float = 1.0) -> VoiceTrace:
    count = round(100 * seconds)
    return VoiceTrace(np.full(count, semitones, np.float32), np.full(count, -20, np.float32))


def window(start: float, *, speakers, traces, shares) -> ChunkPerception:
    utterances = tuple(
        Utterance(start + number, start + number + 0.9, "words", speaker) for number, speaker in enumerate(speakers)
    )
    return ChunkPerception(
        clip=Clip("clip.mp4", start, start + 10, utterances),
        used=frozenset({"voice"}),
        voice_emotions=None if shares is None else np.array(shares),
        voice_traces=traces,
    )


def test_emotions_stand_with_the_strongest_first():
    found = window(0, speakers=["Anna"], traces=(trace(80),), shares=[[0.3, 0.7]])
    (report,) = utterance_reports([found], timelines=(), labels=LABELS)
    assert [(each.label, each.probability) for each in report.voice.emotions] == [("joy", 0.7), ("neutral", 0.3)]


def test_pitch_is_compared_over_all_windows_of_the_same_speaker():
    first = window(0, speakers=["Anna", "Ben"], traces=(trace(80), trace(60)), shares=None)
    second = window(10, speakers=["Anna"], traces=(trace(86, seconds=3),), shares=None)
    low, alone, high = (each.voice for each in utterance_reports([first, second], timelines=(), labels=LABELS))
    assert low.prosody.pitch_semitones == pytest.approx(-6) and high.prosody.pitch_semitones == pytest.approx(0)
    assert alone.prosody.pitch_semitones is None and alone.prosody.pitch_hertz == pytest.approx(32, rel=0.01)
    assert low.emotions is None, "untrained"


def test_where_nothing_is_heard_there_is_no_voice():
    empty = VoiceTrace(np.zeros(0, np.float32), np.zeros(0, np.float32))
    found = window(0, speakers=["Anna", "Ben"], traces=(trace(80), empty), shares=[[0.3, 0.7], [np.nan, np.nan]])
    silent = window(10, speakers=["Anna"], traces=None, shares=None)
    spoken, *others = utterance_reports([found, silent], timelines=(), labels=LABELS)
    assert spoken.voice is not None and [each.voice for each in others] == [None, None]
