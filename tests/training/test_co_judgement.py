"""Co-judgement of face, voice and words."""

import numpy as np
import pytest
from tiny_language import EMOTIONS

from microemo.processing.evidence import Evidence
from microemo.training.language.co_judgement import FAMILIES, co_judge, emotion_targets, family_of


def found(kind: str, label: str, certainty: float, **more) -> Evidence:
    return Evidence(kind, label, 0.0, 2.0, certainty=certainty, **more)


def test_agreeing_streams_raise_the_probability():
    face, voice, words = found("face", "happiness", 0.6), found("voice", "joy", 0.5), found("words", "amusement", 0.5)
    together = co_judge([face, voice, words])
    assert together.ranked[0] == "joy" and together.conflict is None
    assert together.probability("joy") > max(co_judge([each]).probability("joy") for each in (face, voice, words))
    assert {stream: entry.label for stream, entry in together.leading.items()} == {
        "face": "happiness",
        "voice": "joy",
        "words": "amusement",
    }


def test_conflict_names_the_most_certain_streams():
    judged = co_judge([found("face", "happiness", 0.9), found("voice", "anger", 0.8), found("words", "sadness", 0.5)])
    assert judged.conflict == ("face", "voice")
    assert set(judged.ranked[:2]) == {"joy", "anger"} and judged.valence_arousal[1] > 0
    assert co_judge([found("face", "happiness", 0.9), found("voice", "anger", 0.3)]).conflict is None, "unsure"
    assert co_judge([found("face", "anger", 0.9), found("voice", "sadness", 0.9)]).conflict is None, "both unpleasant"


def test_confident_stream_outweighs_neutral_ones():
    judged = co_judge([found("face", "fear", 0.9), found("voice", "neutral", 0.9), found("words", "neutral", 0.9)])
    assert judged.ranked[0] == "fear" and judged.conflict is None
    assert co_judge([found("face", "neutral", 0.9), found("words", "fear", 0.9)]).ranked[0] == "fear"
    assert co_judge([found("face", "neutral", 0.9), found("words", "fear", 0.3)]).ranked[0] == "neutral"


def test_micro_expression_raises_its_emotion_target():
    lasting = found("face", "happiness", 0.9)
    flash = Evidence("micro_expression", "fear", 0.5, 0.7, certainty=0.9, apex_seconds=0.6)
    judged = co_judge([lasting, flash])
    assert judged.ranked[0] == "joy" and judged.leading["face"] == lasting
    assert judged.probability("fear") > co_judge([lasting]).probability("fear")
    targets = emotion_targets(judged, [lasting, flash], names=EMOTIONS)
    assert targets[EMOTIONS.index("fear")] > 0.5 > targets[EMOTIONS.index("anger")]


@pytest.mark.parametrize("evidence", [(), (Evidence("scene", "no face", 0.0, 2.0),)])
def test_no_evidence_gives_neutral(evidence):
    judged = co_judge(evidence)
    assert judged.ranked[0] == "neutral" and not judged.leading and judged.conflict is None


def test_families_are_probabilities_for_random_evidence():
    rng = np.random.default_rng(0)
    labels = {"face": ("happiness", "contempt", "neutral"), "voice": ("calm", "boredom"), "words": ("love", "remorse")}
    for _ in range(50):
        evidence = [
            found(kind, str(rng.choice(names)), float(rng.uniform())) for kind, names in labels.items() for _ in "ab"
        ]
        judged = co_judge(evidence)
        assert judged.families.sum() == pytest.approx(1) and (judged.families > 0).all()
        assert set(judged.ranked) == set(FAMILIES)
        targets = emotion_targets(judged, evidence, names=EMOTIONS)
        assert ((targets >= 0) & (targets <= 1)).all()


def test_targets_are_assigned_to_named_emotions():
    evidence = [found("face", "anger", 0.7), found("words", "annoyance", 0.8), found("voice", "boredom", 0.3)]
    judged = co_judge(evidence)
    targets = dict(zip(EMOTIONS, emotion_targets(judged, evidence, names=EMOTIONS).tolist(), strict=True))
    assert targets["annoyance"] == pytest.approx(judged.probability("anger")) and targets["annoyance"] > 0.5
    assert 0 < targets["anger"] < targets["annoyance"], "the family's main emotion has its part"
    assert targets["boredom"] > 0 and targets["remorse"] == 0


def test_contempt_and_calm_are_merged_into_families():
    assert family_of("contempt") == "disgust" and family_of("calm") == "neutral" and family_of("xyzzy") is None
