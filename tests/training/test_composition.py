"""Composed dialogues: reproducible, evidence inside of utterances, streams missing at the intended rates."""

import numpy as np
import pytest
from tiny_language import tiny_composer

from microemo.training.language.composition import HEARD, LONGEST_SECONDS, SAID, SEEN, SHORTEST_SECONDS


@pytest.fixture(scope="module")
def dialogues():
    composer, rng = tiny_composer(), np.random.default_rng(0)
    return [composer.compose(rng) for _ in range(600)]


def test_the_same_seed_composes_the_same_dialogue(dialogues):
    again = tiny_composer().compose(np.random.default_rng(0))
    assert again.clip.utterances == dialogues[0].clip.utterances and again.evidence == dialogues[0].evidence
    assert dialogues[1].evidence != dialogues[0].evidence


def test_evidence_lies_within_its_utterance(dialogues):
    rounding = 0.011
    for dialogue in dialogues:
        ends = [0.0]
        for utterance, evidence in zip(dialogue.clip.utterances, dialogue.evidence, strict=True):
            start, end = utterance.start_seconds, utterance.end_seconds
            assert ends[-1] <= start and SHORTEST_SECONDS - rounding <= end - start <= LONGEST_SECONDS + rounding
            ends.append(end)
            for each in evidence:
                assert start - rounding <= each.start_seconds <= each.end_seconds <= end + rounding
                assert each.apex_seconds is None or each.start_seconds <= each.apex_seconds <= each.end_seconds
        assert ends[-1] <= dialogue.clip.end_seconds


def test_streams_are_missing_at_the_intended_rates(dialogues):
    def share(*kinds: str) -> float:
        return np.mean([any(each.kind in kinds for own in one.evidence for each in own) for one in dialogues])

    assert share("face", "micro_expression", "scene") == pytest.approx(SEEN, abs=0.05)
    assert share("voice") == pytest.approx(HEARD, abs=0.05)
    assert share("words") == pytest.approx(SAID, abs=0.05)
    for dialogue in dialogues:
        heard = [any(each.kind == "voice" for each in own) for own in dialogue.evidence]
        assert heard == [voice is not None for voice in dialogue.voices] and len(set(heard)) == 1
        said = [any(each.kind == "words" for each in own) for own in dialogue.evidence]
        assert said == [bool(utterance.text) for utterance in dialogue.clip.utterances]


def test_streams_agree_and_conflict(dialogues):
    pairs = [
        {each.kind: each.label for each in reversed(own)}
        for dialogue in dialogues
        for own in dialogue.evidence
        if {"face", "words"} <= {each.kind for each in own}
    ]
    agree = np.mean([pair["face"] == "happiness" for pair in pairs if pair["words"] == "joy"])
    otherwise = np.mean([pair["face"] == "happiness" for pair in pairs if pair["words"] == "anger"])
    assert 0 < otherwise < agree < 1
