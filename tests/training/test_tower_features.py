"""Features of frozen towers, computed once."""

import numpy as np
import pytest
import torch
from tiny_model import tiny_clip, tiny_model

from microemo import MicroEmoForConditionalGeneration
from microemo.training.tower_features import FeatureStore, remember_towers, weights_hash


@pytest.fixture
def model():
    model = tiny_model(MicroEmoForConditionalGeneration)
    return model.requires_grad_(False)


def count_calls(tower):
    """How many entries the tower's first layer computes."""
    seen = []
    next(
        module for module in tower.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Conv1d)
    ).register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    return seen


def test_remembered_features_are_the_towers(model, tmp_path):
    clip = tiny_clip()
    with torch.no_grad():
        wanted = model(**clip)
    names = list(model.state_dict())
    remember_towers(model, folder=tmp_path)
    counted = {name: count_calls(getattr(model.model, name)) for name in ("face_tower", "frame_tower")}
    for _ in range(2):
        with torch.no_grad():
            output = model(**clip)
        for name in ("logits", "emotion_logits", "micro_logits", "expression_logits"):
            torch.testing.assert_close(output[name], wanted[name], rtol=1e-2, atol=1e-2)
    assert counted == {"face_tower": [9], "frame_tower": [4]}, "the second time nothing is computed"
    assert list(model.state_dict()) == names


def test_only_what_is_new_is_computed_and_another_run_finds_it(model, tmp_path):
    remember_towers(model, folder=tmp_path, towers=["face_tower"])
    model(**tiny_clip())
    again = tiny_model(MicroEmoForConditionalGeneration).requires_grad_(False)
    remember_towers(again, folder=tmp_path, towers=["face_tower"], writer="1")
    counted = count_calls(again.model.face_tower)
    clip = tiny_clip()
    clip["face_pixel_values"][0, 3] += 1
    again(**clip)
    assert counted == [1]


def test_other_weights_have_other_features(model, tmp_path):
    before = weights_hash(model.model.face_tower)
    other = tiny_model(MicroEmoForConditionalGeneration, seed=1).model.face_tower
    assert weights_hash(other) != before == weights_hash(model.model.face_tower)


def test_a_tower_that_is_trained_is_not_remembered(model, tmp_path):
    model.model.face_tower.requires_grad_(True)
    with pytest.raises(ValueError, match="face_tower cannot be kept"):
        remember_towers(model, folder=tmp_path)


def test_hidden_states_are_computed_when_asked_for(model, tmp_path):
    remember_towers(model, folder=tmp_path)
    clip = tiny_clip()
    features = model.get_face_features(clip["face_pixel_values"], clip["face_times"])
    assert features.hidden_states is None
    frames = clip["pixel_values_videos"], clip["frame_times"]
    recorded = model.get_video_features(*frames, output_hidden_states=True).hidden_states
    assert recorded[0].shape[0] == frames[0].shape[1]


def test_a_store_that_was_stopped_goes_on(tmp_path):
    first = FeatureStore(tmp_path)
    first.add(b"a" * 16, np.ones((2, 3)))
    with (tmp_path / "0.features").open("ab") as file:
        file.write(b"half an arr")
    second = FeatureStore(tmp_path)
    second.add(b"b" * 16, np.full((2, 3), 2.0))
    third = FeatureStore(tmp_path, writer="other")
    assert len(third) == 2 and third.get(b"a" * 16).sum() == 6 and third.get(b"b" * 16).sum() == 12


def test_training_with_kept_features_learns_the_same(workshop, tmp_path):
    losses = []
    for kept in (None, str(tmp_path / "features"), str(tmp_path / "features")):
        run = workshop.prepare(tmp_path / "run", data={"features_dir": kept}, max_steps=3)
        run.trainer.train()
        losses.append([entry["loss"] for entry in run.trainer.state.log_history if "loss" in entry])
    assert losses[1] == losses[2] == pytest.approx(losses[0], rel=1e-3)
