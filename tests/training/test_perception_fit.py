"""The fit of what face and voice add to the emotion head's logits."""

import pytest
import torch
from tiny_model import tiny_clip, tiny_config, tiny_model

from microemo import MicroEmoModel
from microemo.heads import EmotionHead
from microemo.losses import Labels, emotion_loss
from microemo.training.perception_fit import PerceptionExamples, fit_examples, fit_perception_fusion

SEGMENTS = {**tiny_config().video_qformer_config.to_dict(), "num_query_tokens": 8}
FUSION = {"use_face_readout": True, "use_perception_fusion": True, "video_qformer_config": SEGMENTS}
MACRO_HAPPINESS, MICRO_HAPPINESS, SEEN = 3, 5, 6  # behind the means of two expressions
ALWAYS, UNKNOWN = 20.0, -100.0


def layer() -> torch.nn.Linear:
    return EmotionHead(tiny_config(**FUSION)).perception


def examples(count: int, *, seed: int) -> PerceptionExamples:
    """A micro-expression of happiness means joy, which the language model calls unlikely, and a high valence."""
    generator = torch.Generator().manual_seed(seed)
    happy = (torch.rand(count, generator=generator) < 0.5).float()
    perception = torch.zeros(count, tiny_config().perception_size)
    perception[:, MICRO_HAPPINESS] = happy
    perception[:, MACRO_HAPPINESS] = torch.rand(count, generator=generator)  # says nothing
    perception[:, SEEN] = 1.0
    outputs = torch.tensor([-2.0, -2.0, -2.0, 0.0, 0.0]).expand(count, -1)
    emotions = torch.stack((torch.zeros(count), happy, torch.full((count,), UNKNOWN)), dim=1)
    affect = torch.stack((0.6 * happy, torch.full((count,), UNKNOWN)), dim=1)
    return PerceptionExamples(perception, outputs, emotions, affect)


def test_what_an_expression_adds_is_learned():
    fitted = layer()
    told = fit_examples(fitted, examples=examples(200, seed=1), weight_decay=1e-4)
    assert told["loss"] < 0.2 * told["without"] and told["utterances"] == 200
    others = examples(200, seed=2)
    shown = (others.outputs + fitted(others.perception)).detach()
    assert torch.equal(shown[:, 1] > 0, others.emotions[:, 1] > 0.5)
    torch.testing.assert_close(shown[:, 3].tanh(), others.valence_arousal[:, 0], atol=0.1, rtol=0)
    assert fitted.weight[1, MICRO_HAPPINESS] > 4 * fitted.weight[1, MACRO_HAPPINESS].abs()
    assert not fitted.weight[2].any() and not fitted.weight[4].any()  # what is not known teaches nothing


def test_files_in_half_precision_keep_it():
    fitted = layer()
    fit_examples(fitted, examples=examples(200, seed=1), weight_decay=1e-4)
    assert torch.equal(fitted.weight, fitted.weight.half().float())


def test_more_weight_decay_fits_less():
    losses = [
        fit_examples(layer(), examples=examples(100, seed=1), weight_decay=decay)["loss"]
        for decay in (1e-4, 1e-2, 1.0)
    ]
    assert losses == sorted(losses) and losses[0] < losses[-1]


def batch(**changes):
    """Two utterances of a clip, with labels; without placeholders, as tiny prompts have fewer tokens a segment."""
    clip = tiny_clip()
    names = ("face_pixel_values", "face_times", "face_mask", "utterance_times")
    return {
        "input_ids": torch.tensor([[6, 5, 7, 5]]),
        **{name: clip[name] for name in names},
        "labels": torch.full((1, 4), -100),
        "emotion_labels": torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]]),
        "valence_arousal_labels": torch.zeros(1, 2, 2),
        **changes,
    }


@pytest.fixture
def model():
    model = tiny_model(MicroEmoModel, **FUSION)
    with torch.no_grad():
        model.face_head.flow_micro_expression.bias.fill_(ALWAYS)
        model.face_head.micro_expression.bias.fill_(ALWAYS)
    return model


def test_the_layer_is_fitted_beside_what_the_model_says_without_it(model):
    others = {name: value.clone() for name, value in model.state_dict().items() if "perception" not in name}
    before = model.emotion_head.perception.weight.clone()
    told = fit_perception_fusion(model, batches=[batch(), batch()], weight_decay=1e-3)
    assert told["utterances"] == 4 and told["loss"] < told["without"]
    assert not torch.equal(model.emotion_head.perception.weight, before)
    for name, value in others.items():
        assert torch.equal(model.state_dict()[name], value), name
    given = batch()
    labels = Labels(emotions=given.pop("emotion_labels"), valence_arousal=given.pop("valence_arousal_labels"))
    assert emotion_loss(model(**given), labels).item() == pytest.approx(told["loss"], abs=1e-3)
    with torch.no_grad():
        model.emotion_head.perception.weight.zero_()
    assert emotion_loss(model(**given), labels).item() == pytest.approx(told["without"], abs=1e-3)


def test_utterances_without_labels_or_without_face_and_voice_are_left_out(model):
    nothing = torch.full((1, 2, 3), UNKNOWN)
    joy = nothing.clone()
    joy[0, 1, 1] = 1.0
    half = batch(emotion_labels=joy, valence_arousal_labels=nothing[..., :2])
    faceless = {name: value for name, value in batch().items() if not name.startswith("face")}
    unseen = batch(face_mask=torch.zeros(1, tiny_clip()["face_times"].shape[1], dtype=torch.bool))
    assert fit_perception_fusion(model, batches=[half, faceless, unseen], weight_decay=1e-3)["utterances"] == 1
    with pytest.raises(ValueError, match="in none of the examples' utterances with labels a face was seen"):
        fit_perception_fusion(model, batches=[faceless, unseen], weight_decay=1e-3)


def test_a_head_without_the_layer_cannot_be_fitted():
    with pytest.raises(ValueError, match="must set use_perception_fusion"):
        fit_perception_fusion(tiny_model(MicroEmoModel), batches=[batch()], weight_decay=1e-3)
