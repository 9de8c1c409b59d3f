"""Predictions of each stream alone."""

import pytest
import torch
from tiny_model import AUDIO_TOKEN_ID, VIDEO_TOKEN_ID, tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification


@pytest.fixture(params=[MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification])
def model(request):
    return tiny_model(request.param, use_voice_head=True).eval()


def test_every_stream_gives_probabilities(model):
    clip = tiny_clip(num_utterances=2)
    found = model.perceive(**clip)
    crops, config = clip["face_times"].shape[1], model.config
    assert found.expressions.shape == found.motion.shape == (1, crops, len(config.expression_id2label))
    torch.testing.assert_close(found.expressions.sum(-1), torch.ones(1, crops))
    assert found.micro.shape == (1, crops) and found.action_units.shape[-1] == len(config.action_unit_id2label)
    assert found.voice.shape == (1, 2, len(config.voice_id2label))
    assert found.words.shape == (1, 2, len(config.emotion_id2label))
    assert found.labels["words"] == tuple(config.emotion_id2label.values())
    for name in ("expressions", "micro", "motion", "action_units", "words"):
        assert ((getattr(found, name) >= 0) & (getattr(found, name) <= 1)).all(), name


def test_perceived_face_equals_forward(model):
    clip = tiny_clip(num_utterances=2)
    found, whole = model.perceive(**clip), model(**clip)
    torch.testing.assert_close(found.expressions, whole.expression_logits.softmax(-1))
    torch.testing.assert_close(found.micro, whole.micro_logits.sigmoid())


def test_perceived_features_can_be_passed_to_forward(model):
    clip = tiny_clip(num_utterances=2)
    found, whole = model.perceive(**clip), model(**clip)
    kept = {name: clip[name] for name in ("input_ids", "attention_mask", "utterance_times") if name in clip}
    again = model(**kept, mm_encoder_outputs=found.features)
    torch.testing.assert_close(again.emotion_logits, whole.emotion_logits)


def test_words_are_read_without_the_streams(model):
    """Equals a prompt without placeholders."""
    clip = tiny_clip(num_utterances=2)
    places = (clip["input_ids"] == VIDEO_TOKEN_ID) | (clip["input_ids"] == AUDIO_TOKEN_ID)
    alone = model(input_ids=clip["input_ids"][~places].unsqueeze(0), utterance_times=clip["utterance_times"])
    torch.testing.assert_close(model.perceive(**clip).words, alone.emotion_logits.sigmoid())
    assert model.perceive(**clip, words=False).words is None


def test_a_missing_stream_is_none(model):
    clip = tiny_clip(num_utterances=2)
    silent = {name: value for name, value in clip.items() if name not in ("input_features", "audio_mask")}
    kept = silent["input_ids"] != AUDIO_TOKEN_ID
    silent["input_ids"] = silent["input_ids"][kept].unsqueeze(0)
    silent.pop("attention_mask", None)
    found = model.perceive(**silent)
    assert found.voice is None and set(found.features) == {"face", "video"}
    faceless = {name: value for name, value in clip.items() if not name.startswith("face")}
    assert model.perceive(**faceless).expressions is None
