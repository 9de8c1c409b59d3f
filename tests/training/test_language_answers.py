"""Target answers match the evidence and can be parsed."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_language import tiny_composer

from microemo.processing.emotion_parsing import parse_emotions
from microemo.processing.evidence import Evidence
from microemo.processing.evidence_text import evidence_sentence, relation_sentence
from microemo.training.language.answers import MAX_SENTENCES, clip_answer, utterance_answer
from microemo.training.language.co_judgement import co_judge, family_of

NOTHING = "Nothing is seen or heard that tells an emotion."
FORMS = range(6)


def sentences_in(text: str, *, allowed: set[str]) -> int:
    """Number of sentences in a text; raises `AssertionError` for a sentence that is not allowed."""
    count = 0
    while text:
        first = max((each for each in allowed if f"{text} ".startswith(f"{each} ")), key=len, default=None)
        assert first is not None, f"{text!r} is not written of the evidence"
        text, count = text[len(first) :].lstrip(), count + 1
    return count


def sentences_of(evidence, *, offset, span=None) -> set[str]:
    written = {evidence_sentence(each, offset=offset, span=span, form=form) for each in evidence for form in FORMS}
    related = {
        relation_sentence(first, second, agree=agree, form=form)
        for first in evidence
        for second in evidence
        if "scene" not in (first.kind, second.kind)
        for agree in (True, False)
        for form in FORMS
    }
    return written | related | {NOTHING}


@pytest.fixture(scope="module")
def dialogues():
    rng = np.random.default_rng(5)
    return [tiny_composer().compose(rng) for _ in range(60)]


def test_first_label_is_of_the_top_family_and_reasons_are_evidence(dialogues):
    rng = np.random.default_rng(1)
    for dialogue in dialogues:
        for utterance, evidence in zip(dialogue.clip.utterances, dialogue.evidence, strict=True):
            span = utterance.start_seconds, utterance.end_seconds
            answer = parse_emotions(utterance_answer(evidence, span=span, offset=0.5, rng=rng))
            assert answer.is_parsed and 1 <= len(answer.labels) <= 3
            assert family_of(answer.labels[0]) == co_judge(evidence).ranked[0]
            allowed = sentences_of(evidence, offset=0.5, span=span)
            assert 1 <= sentences_in(answer.description, allowed=allowed) <= MAX_SENTENCES


def test_clip_answer_uses_evidence_of_its_utterances(dialogues):
    rng = np.random.default_rng(2)
    for dialogue in (each for each in dialogues if len(each.evidence) > 1):
        answer = parse_emotions(clip_answer(dialogue.evidence, offset=0.0, rng=rng))
        families = np.mean([co_judge(own).families for own in dialogue.evidence], axis=0)
        assert answer.is_parsed and family_of(answer.labels[0]) == replace(co_judge(()), families=families).ranked[0]
        every = [each for own in dialogue.evidence for each in own]
        assert sentences_in(answer.description, allowed=sentences_of(every, offset=0.0)) <= MAX_SENTENCES


def test_conflict_is_mentioned_and_answers_are_reproducible():
    evidence = [
        Evidence("face", "happiness", 1.0, 3.0, certainty=0.9),
        Evidence("voice", "anger", 1.0, 3.0, certainty=0.9),
    ]
    answers = [
        utterance_answer(evidence, span=(1.0, 3.0), offset=0.0, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    ]
    assert answers[0] == answers[1]
    for answer in answers:
        assert any(relation_sentence(*evidence, agree=False, form=form) in answer for form in FORMS)


@pytest.mark.parametrize("answer", [utterance_answer, clip_answer])
def test_answer_without_evidence(answer):
    arguments = {"span": (0.0, 1.0)} if answer is utterance_answer else {}
    evidence = () if answer is utterance_answer else ((),)
    parsed = parse_emotions(answer(evidence, offset=0.0, rng=np.random.default_rng(0), **arguments))
    assert parsed.labels[0] == "neutral" and parsed.description == NOTHING
