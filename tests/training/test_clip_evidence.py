"""Training prompts contain the model's evidence, as at inference."""

import pytest

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.data.example import EmotionTargets, Example, LabelledUtterance
from microemo.processing.clip import Clip, Utterance
from microemo.processing.evidence import Evidence
from microemo.training.clip_evidence import ClipPerceiver, without_streams
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


def test_clip_is_perceived_once_and_training_mode_is_restored(pair, monkeypatch):
    model, processor = pair
    calls, perceive = [], model.perceive
    monkeypatch.setattr(model, "perceive", lambda *inputs, **more: calls.append(1) or perceive(*inputs, **more))
    model.train()
    perceiver = ClipPerceiver(model, processor=processor)
    first = perceiver(CLIP)
    assert first == perceiver(CLIP) and len(calls) == 1 and model.training
    assert [entry.kind for entry in first[0]][:1] == ["words"]


def test_prompt_contains_the_evidence(pair):
    model, processor = pair
    collator = MicroEmoDataCollator(processor, config=model.config, perceiver=model)
    assert "\nwords: " in prompt_of(collator, processor)


def test_no_evidence_without_use_evidence_prompt(pair):
    model, processor = pair
    model.config.use_evidence_prompt = False
    perceiving = MicroEmoDataCollator(processor, config=model.config, perceiver=model)
    plain = MicroEmoDataCollator(processor, config=model.config)
    assert "words:" not in prompt_of(plain, processor)
    assert prompt_of(perceiving, processor) == prompt_of(plain, processor)


@pytest.mark.parametrize(
    ("hidden", "remaining"),
    [
        ((), ["face", "micro_expression", "scene", "voice", "words"]),
        (("faces",), ["voice", "words"]),
        (("pictures", "voice"), ["words"]),
        (("words",), ["face", "micro_expression", "scene", "voice"]),
    ],
)
def test_evidence_of_hidden_streams_is_removed(hidden, remaining):
    kinds = ("face", "micro_expression", "scene", "voice", "words")
    evidence = (tuple(Evidence(kind, "joy", 0.0, 1.0) for kind in kinds),)
    assert [entry.kind for entry in without_streams(evidence, hidden=hidden)[0]] == remaining
