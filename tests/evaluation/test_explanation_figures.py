"""Figures of explanations on worked examples."""

import numpy as np
import pytest
from evaluated_clips import evaluated, report, scores, utterance

from microemo.data.example import EmotionTargets
from microemo.evaluation.explanation_figures import (
    explanation_figures,
    family_f1,
    findings,
    has_contradiction,
    raw_description,
)
from microemo.inference.report.report import EvidenceReport
from microemo.processing.evidence import Evidence

JOY_AND_SURPRISE = EmotionTargets(open_labels=("joyful", "surprised"))
GRIEF = EmotionTargets(emotions=("grief",))


FACE = EvidenceReport("face", "happiness", 0.4, 1.0, "", certainty=0.9, signs=("AU12",))
FLASH = EvidenceReport("micro_expression", "fear", 0.5, 0.7, "", certainty=0.8, apex_seconds=0.6)
VOICE = EvidenceReport("voice", "sadness", 0.0, 1.0, "", certainty=0.6, signs=("low",), pitch_semitones=-2.5)
SEEN = (FACE, FLASH, VOICE)


def explained(generated, *, kept=None, labels=("happy",), evidence=SEEN, start=0, **said):
    """An utterance with the generated explanation `generated`. kept: its description after the check."""
    raw = f"Emotions: {', '.join(labels)}.\nReason: {generated}"
    said |= {"description": generated if kept is None else kept, "raw_answer": raw, "open_emotions": tuple(labels)}
    return utterance(start, evidence=evidence, **said)


def values(*clips, chosen=None):
    places = np.arange(len(clips)) if chosen is None else np.array(chosen)
    return {figure.name: figure.statistic(places) for figure in explanation_figures(clips)}


def test_findings_are_those_of_the_report():
    assert findings(explained("", evidence=SEEN)) == (
        Evidence("face", "happiness", 0.4, 1.0, certainty=0.9, signs=("AU12",)),
        Evidence("micro_expression", "fear", 0.5, 0.7, certainty=0.8, apex_seconds=0.6),
        Evidence("voice", "sadness", 0.0, 1.0, certainty=0.6, signs=("low",), pitch_semitones=-2.5),
    )


def test_the_raw_description_is_the_generated_text():
    part = explained("She smiles at 1.8 s.", kept="")
    assert raw_description(part) == "She smiles at 1.8 s."
    assert raw_description(utterance(0, raw_answer="no form")) == raw_description(utterance(0)) == ""


def test_sentences_are_counted_before_and_after_the_check():
    generated = "She smiles from 0.4 s on. The voice is angry. At 3.0 s the face shows fear."
    one = evaluated(report(explained(generated, kept="She smiles from 0.4 s on.")), EmotionTargets())
    two = evaluated(report(explained("The voice is low.")), EmotionTargets())
    found = values(one, two)
    assert found["Sentences backed before the check"] == pytest.approx(2 / 4)
    assert found["Sentences backed after the check"] == 1
    assert values(one, two, chosen=[0, 0])["Sentences backed before the check"] == pytest.approx(1 / 3)


def test_labels_are_compared_by_wheel_family():
    right = explained("", labels=("cheerful", "proud", "angry"))
    wrong, broken = explained("", labels=("afraid",)), utterance(0, raw_answer="no form")
    clips = [
        evaluated(report(right, wrong), JOY_AND_SURPRISE, GRIEF),
        evaluated(report(broken), GRIEF),
        evaluated(report(right), EmotionTargets()),
        evaluated(report(utterance(0)), GRIEF),
    ]
    assert values(*clips)["Label F in wheel families"] == pytest.approx((0.5 + 0 + 0) / 3)
    assert "Label F in wheel families" not in values(clips[2])


def test_f1_of_families():
    assert family_f1(["happy", "glad"], reference=["joyful"]) == 1
    assert family_f1(["happy", "table"], reference=["joyful", "afraid"]) == pytest.approx(2 / 3)
    assert family_f1([], reference=["joyful"]) == 0 and family_f1(["happy"], reference=["table"]) is None


SURE_JOY = scores({"joy": 0.9, "calm": 0.4, "fear": 0.1})


@pytest.mark.parametrize(
    ("part", "contradicts"),
    [
        (explained("She smiles.", emotions=SURE_JOY, valence=0.6), False),
        (explained("", labels=("neutral",), emotions=SURE_JOY), False),
        (explained("", labels=("afraid", "happy"), emotions=SURE_JOY), True),
        (explained("", labels=("happy", "afraid"), emotions=SURE_JOY), False),
        (explained("", labels=("striking",), emotions=SURE_JOY, valence=-0.9), False),
        (explained("", valence=-0.1), True),
        (explained("", valence=-0.09), False),
        (explained("", labels=("sad",), valence=0.3), True),
        (explained("The voice is sad, not angry."), False),
        (explained("The face shows disgust."), True),
        (explained('"I am angry", she says.', evidence=()), False),
        (utterance(0, raw_answer="no form", emotions=SURE_JOY, valence=0.5), False),
    ],
)
def test_contradictions(part, contradicts):
    assert has_contradiction(part) is contradicts
    figures = values(evaluated(report(part, utterance(1)), EmotionTargets(), EmotionTargets()))
    assert figures["Utterances with a contradiction"] == contradicts
