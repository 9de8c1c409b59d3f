"""What frozen dynamics see of faces, computed once."""

import pytest
import torch
from tiny_model import collate, tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration
from microemo.training.face_features import remember_faces

OUTPUTS = ("logits", "emotion_logits", "micro_logits", "expression_logits", "action_unit_logits")
CALM = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture
def model():
    model = tiny_model(MicroEmoForConditionalGeneration)
    for name, value in CALM.items():
        setattr(model.config.dynamics_config, name, value)
    return model.requires_grad_(False)


def test_remembered_faces_are_the_models(model, tmp_path):
    batch = collate([tiny_clip(), tiny_clip(1, num_faces=5, seed=1)])
    wanted = model(**batch)
    remember_faces(model, folder=tmp_path)
    computed = []
    model.model.micro_dynamics.register_forward_hook(lambda *parts: computed.append(parts))
    for _ in range(2):
        output = model(**batch)
        real = batch["face_mask"]
        for name in OUTPUTS:
            given, expected = output[name], wanted[name]
            if name in ("micro_logits", "expression_logits", "action_unit_logits"):
                given, expected = given[real], expected[real]
            torch.testing.assert_close(given, expected, rtol=1e-2, atol=1e-2)
    assert len(computed) == 2, "each of the two clips once"


def test_other_times_are_other_faces(model, tmp_path):
    remember_faces(model, folder=tmp_path)
    computed = []
    model.model.micro_dynamics.register_forward_hook(lambda *parts: computed.append(parts))
    clip = tiny_clip()
    model(**clip)
    model(**{**clip, "face_times": clip["face_times"] * 0.5})
    assert len(computed) == 2


def test_faces_seen_mirrored_too_are_other_faces(tmp_path):
    seen = []
    for mirrored in (False, True, True):
        model = tiny_model(MicroEmoForConditionalGeneration).requires_grad_(False)
        for name, value in {**CALM, "use_mirrored_view": mirrored}.items():
            setattr(model.config.dynamics_config, name, value)
        remember_faces(model, folder=tmp_path)
        model.model.micro_dynamics.register_forward_hook(lambda *parts, mirrored=mirrored: seen.append(mirrored))
        model(**tiny_clip())
    assert seen == [False, True]


def test_a_batch_without_faces_is_left_alone(model, tmp_path):
    clip = tiny_clip()
    clip["face_mask"] = torch.zeros_like(clip["face_mask"])
    wanted = model(**clip).logits
    remember_faces(model, folder=tmp_path)
    torch.testing.assert_close(model(**clip).logits, wanted)


def test_what_is_trained_or_random_is_not_kept(model, tmp_path):
    model.model.micro_dynamics.requires_grad_(True)
    with pytest.raises(ValueError, match="micro_dynamics is trained"):
        remember_faces(model, folder=tmp_path)
    model.model.micro_dynamics.requires_grad_(False)
    model.config.dynamics_config.hidden_dropout_prob = 0.1
    with pytest.raises(ValueError, match="dropout"):
        remember_faces(model, folder=tmp_path)
