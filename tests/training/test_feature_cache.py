"""Cached features equal the computed ones, and only missing entries are computed."""

import numpy as np
import pytest
import torch
from tiny_model import collate, tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration
from microemo.training.feature_cache import FeatureCache, cache_face_features, cache_tower_features, weights_hash

OUTPUTS = ("logits", "emotion_logits", "micro_logits", "expression_logits", "action_unit_logits")
CROP_OUTPUTS = OUTPUTS[2:]  # padded in a batch
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture
def model():
    return frozen_model()


def frozen_model(**dynamics):
    model = tiny_model(MicroEmoForConditionalGeneration)
    for name, value in {**NO_DROPOUT, **dynamics}.items():
        setattr(model.config.dynamics_config, name, value)
    return model.requires_grad_(False)


def count_computed(tower):
    """Batch sizes that the tower's first convolution computes."""
    batch_sizes = []
    first = next(part for part in tower.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Conv1d))
    first.register_forward_hook(lambda module, inputs, output: batch_sizes.append(len(inputs[0])))
    return batch_sizes


def record_dynamics_calls(model):
    calls = []
    model.model.micro_dynamics.register_forward_hook(lambda *call: calls.append(call))
    return calls


def test_cached_tower_features_equal_the_computed_ones(model, tmp_path):
    clip = tiny_clip()
    with torch.no_grad():
        expected = model(**clip)
    names = list(model.state_dict())
    cache_tower_features(model, folder=tmp_path)
    computed = {name: count_computed(getattr(model.model, name)) for name in ("face_tower", "frame_tower")}
    for _ in range(2):
        with torch.no_grad():
            output = model(**clip)
        for name in ("logits", "emotion_logits", "micro_logits", "expression_logits"):
            torch.testing.assert_close(output[name], expected[name], rtol=1e-2, atol=1e-2)
    assert computed == {"face_tower": [9], "frame_tower": [4]}, "the second pass reads everything from the cache"
    assert list(model.state_dict()) == names


def test_only_missing_entries_are_computed_across_runs(model, tmp_path):
    cache_tower_features(model, folder=tmp_path, towers=["face_tower"])
    model(**tiny_clip())
    second_run = frozen_model()
    cache_tower_features(second_run, folder=tmp_path, towers=["face_tower"], writer="1")
    computed = count_computed(second_run.model.face_tower)
    clip = tiny_clip()
    clip["face_pixel_values"][0, 3] += 1
    second_run(**clip)
    assert computed == [1]


def test_weights_hash_depends_on_the_weights(model):
    before = weights_hash(model.model.face_tower)
    other = tiny_model(MicroEmoForConditionalGeneration, seed=1).model.face_tower
    assert weights_hash(other) != before == weights_hash(model.model.face_tower)


def test_trainable_tower_is_refused(model, tmp_path):
    model.model.face_tower.requires_grad_(True)
    with pytest.raises(ValueError, match="face_tower cannot be cached"):
        cache_tower_features(model, folder=tmp_path)


def test_hidden_states_bypass_the_cache(model, tmp_path):
    cache_tower_features(model, folder=tmp_path)
    clip = tiny_clip()
    features = model.get_face_features(clip["face_pixel_values"], clip["face_times"])
    assert features.hidden_states is None
    frames = clip["pixel_values_videos"], clip["frame_times"]
    hidden_states = model.get_video_features(*frames, output_hidden_states=True).hidden_states
    assert hidden_states[0].shape[0] == frames[0].shape[1]


def test_cache_recovers_from_an_interrupted_write(tmp_path):
    first = FeatureCache(tmp_path)
    first.add(b"a" * 16, np.ones((2, 3)))
    with (tmp_path / "0.features").open("ab") as file:
        file.write(b"half an arr")
    second = FeatureCache(tmp_path)
    second.add(b"b" * 16, np.full((2, 3), 2.0))
    third = FeatureCache(tmp_path, writer="other")
    assert len(third) == 2 and third.get(b"a" * 16).sum() == 6 and third.get(b"b" * 16).sum() == 12


def test_training_on_cached_features_gives_the_same_losses(workshop, tmp_path):
    losses = []
    for folder in (None, str(tmp_path / "features"), str(tmp_path / "features")):
        run = workshop.prepare(tmp_path / "run", data={"features_dir": folder}, max_steps=3)
        run.trainer.train()
        losses.append([entry["loss"] for entry in run.trainer.state.log_history if "loss" in entry])
    assert losses[1] == losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_cached_face_features_equal_the_computed_ones(model, tmp_path):
    batch = collate([tiny_clip(), tiny_clip(1, num_faces=5, seed=1)])
    expected = model(**batch)
    cache_face_features(model, folder=tmp_path)
    calls = record_dynamics_calls(model)
    for _ in range(2):
        output = model(**batch)
        for name in OUTPUTS:
            rows = batch["face_mask"] if name in CROP_OUTPUTS else slice(None)
            torch.testing.assert_close(output[name][rows], expected[name][rows], rtol=1e-2, atol=1e-2)
    assert len(calls) == 2, "each of the two clips once"


def test_face_cache_key_includes_the_times(model, tmp_path):
    cache_face_features(model, folder=tmp_path)
    calls = record_dynamics_calls(model)
    clip = tiny_clip()
    model(**clip)
    model(**{**clip, "face_times": clip["face_times"] * 0.5})
    assert len(calls) == 2


def test_face_cache_key_includes_the_mirrored_view(tmp_path):
    num_calls = []
    for mirrored in (False, True, True):
        model = frozen_model(use_mirrored_view=mirrored)
        cache_face_features(model, folder=tmp_path)
        calls = record_dynamics_calls(model)
        model(**tiny_clip())
        num_calls.append(len(calls))
    assert num_calls == [1, 1, 0]


def test_batch_without_faces_is_computed(model, tmp_path):
    clip = tiny_clip()
    clip["face_mask"] = torch.zeros_like(clip["face_mask"])
    expected = model(**clip).logits
    cache_face_features(model, folder=tmp_path)
    torch.testing.assert_close(model(**clip).logits, expected)


def test_trainable_or_random_dynamics_are_refused(model, tmp_path):
    model.model.micro_dynamics.requires_grad_(True)
    with pytest.raises(ValueError, match="micro_dynamics is trained"):
        cache_face_features(model, folder=tmp_path)
    model.model.micro_dynamics.requires_grad_(False)
    model.config.dynamics_config.hidden_dropout_prob = 0.1
    with pytest.raises(ValueError, match="dropout"):
        cache_face_features(model, folder=tmp_path)
