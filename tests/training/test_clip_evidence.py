"""Prompts of training say what the model perceives, as those of inference do."""

import pytest

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import Evidence
from microemo.training.clip_evidence import ClipEvidence, without_streams
from microemo.training.collator import MicroEmoDataCollator

CLIP = Clip("a.mp4", 0.0, 2.0, (Utterance(0.0, 2.0, "We won!"),))
EXAMPLE = Example("a", utterances=(LabelledUtterance("We won!", targets=EmotionTargets(emotions=("joy",))),))


@pytest.fixture
def pair(workshop):
    folder = workshop.root / "model"
    model = MicroEmoForConditionalGeneration.from_pretrained(folder)
    model.config.use_evidence_prompt = True
    return model, MicroEmoProcessor.from_pretrained(folder)


def prompt_of(collator, processor):
    return processor.tokenizer.decode(collator([EXAMPLE])["input_ids"][0])


def test_a_clip_is_perceived_once_and_training_goes_on(pair, monkeypatch):
    model, processor = pair
    calls, perceive = [], model.perceive
    monkeypatch.setattr(model, "perceive", lambda *inputs, **more: calls.append(1) or perceive(*inputs, **more))
    model.train()
    evidence = ClipEvidence(model, processor=processor)
    first = evidence(CLIP)
    assert first == evidence(CLIP) and len(calls) == 1 and model.training
    assert [found.kind for found in first[0]][:1] == ["words"]


def test_prompts_hold_the_evidence(pair):
    model, processor = pair
    collator = MicroEmoDataCollator(processor, config=model.config, perceiver=model)
    assert "\nwords: " in prompt_of(collator, processor)


def test_there_is_none_where_prompts_have_none(pair):
    model, processor = pair
    model.config.use_evidence_prompt = False
    perceiving = MicroEmoDataCollator(processor, config=model.config, perceiver=model)
    plain = MicroEmoDataCollator(processor, config=model.config)
    assert "words:" not in prompt_of(plain, processor)
    assert prompt_of(perceiving, processor) == prompt_of(plain, processor)


@pytest.mark.parametrize(
    ("hidden", "left"),
    [
        ((), ["face", "micro_expression", "scene", "voice", "words"]),
        (("faces",), ["voice", "words"]),
        (("pictures", "voice"), ["words"]),
        (("words",), ["face", "micro_expression", "scene", "voice"]),
    ],
)
def test_nothing_is_found_of_hidden_streams(hidden, left):
    kinds = ("face", "micro_expression", "scene", "voice", "words")
    evidence = (tuple(Evidence(kind, "joy", 0.0, 1.0) for kind in kinds),)
    assert [found.kind for found in without_streams(evidence, hidden=hidden)[0]] == left
