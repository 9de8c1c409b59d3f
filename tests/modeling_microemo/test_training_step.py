"""A training step: gradients, losses, frozen towers."""

import pytest
import torch
from tiny_model import collate, tiny_clip, tiny_config, tiny_model

from microemo import MicroEmoForConditionalGeneration, MicroEmoForEmotionClassification


@pytest.fixture
def batch():
    clips = [tiny_clip(2, seed=1), tiny_clip(3, num_frames=3, num_faces=14, seed=2)]
    # Utterances between frames and after the audio, so that both null keys are used.
    clips[1]["utterance_times"][0, 1] = torch.tensor([1.6, 1.7])
    clips[1]["utterance_times"][0, 2] = torch.tensor([8.0, 9.0])
    return collate(clips)


@pytest.fixture
def labels(batch):
    torch.manual_seed(0)
    text = batch["input_ids"].masked_fill(batch["input_ids"] < 6, -100)
    return {
        "labels": text.masked_fill(batch["attention_mask"] == 0, -100),
        "emotion_labels": torch.rand(2, 3, 3),
        "valence_arousal_labels": torch.rand(2, 3, 2) * 2 - 1,
        "micro_labels": torch.rand(2, 14).round(),
        "expression_labels": torch.randint(0, 2, (2, 14)),
        "action_unit_labels": torch.rand(2, 14, 3).round(),
    }


@pytest.mark.parametrize(
    "changes", [{}, {"face_config": None, "dynamics_config": {"max_regions": 20, "hidden_size": 32}}]
)
def test_gradients_reach_every_part(batch, labels, changes):
    if changes:
        batch["face_pixel_values"] = batch["face_pixel_values"][..., :32, :32]
    model = tiny_model(MicroEmoForConditionalGeneration, **changes).train()
    model(**batch, **labels).loss.backward()
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.abs().sum() > 0)
    }
    # Motion logits are not in this loss; the layer is trained on face clips (`of_flow`).
    assert without == {f"model.face_head.dynamic_expression.{name}" for name in ("weight", "bias")}


def test_the_gate_opens_from_zero(batch, labels):
    torch.manual_seed(0)
    model = MicroEmoForConditionalGeneration(tiny_config()).train()
    assert model.model.global_local_attention.gate.item() == 0
    model(**batch, **labels).loss.backward()
    assert model.model.global_local_attention.gate.grad.abs() > 0


def test_the_loss_is_the_weighted_sum_of_its_parts(batch, labels):
    weights = {"language_loss_weight": 0.5, "emotion_loss_weight": 2.0, "face_loss_weight": 0.25}
    output = tiny_model(MicroEmoForConditionalGeneration, **weights)(**batch, **labels)
    wanted = 0.5 * output.language_loss + 2.0 * output.emotion_loss + 0.25 * output.face_loss
    torch.testing.assert_close(output.loss, wanted)


def test_each_loss_comes_with_its_labels_alone(batch, labels):
    model = tiny_model(MicroEmoForConditionalGeneration)
    output = model(**batch, micro_labels=labels["micro_labels"])
    assert output.language_loss is None and output.emotion_loss is None
    torch.testing.assert_close(output.loss, output.face_loss)


def test_the_classifier_has_the_same_losses(batch, labels):
    words = labels.pop("labels")
    classifier = tiny_model(MicroEmoForEmotionClassification)
    generator = tiny_model(MicroEmoForConditionalGeneration)
    generator.model.load_state_dict(classifier.model.state_dict())
    one, other = classifier(**batch, **labels), generator(**batch, **labels, labels=words)
    torch.testing.assert_close(one.emotion_loss, other.emotion_loss)
    torch.testing.assert_close(one.face_loss, other.face_loss)
    assert not any("lm_head" in name for name, _ in classifier.named_parameters())


def test_a_batch_without_answers_has_no_language_loss(batch, labels):
    model = tiny_model(MicroEmoForConditionalGeneration)
    output = model(**batch, labels=torch.full_like(labels["labels"], -100), emotion_labels=labels["emotion_labels"])
    assert output.language_loss == 0
    output.loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_frozen_towers_stay_in_evaluation(batch):
    model = tiny_model(MicroEmoForConditionalGeneration)
    for parameter in model.model.face_tower.parameters():
        parameter.requires_grad = False
    model.train()
    assert not any(module.training for module in model.model.face_tower.modules())
    assert model.model.frame_tower.training and model.model.micro_dynamics.training
    before = {name: value.clone() for name, value in model.model.face_tower.named_buffers()}
    model(**batch)
    assert all(torch.equal(before[name], value) for name, value in model.model.face_tower.named_buffers())


def test_gradient_checkpointing_changes_no_gradient(batch, labels):
    gradients = []
    for checkpointing in (False, True):
        model = tiny_model(MicroEmoForConditionalGeneration)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.activation_checkpointing_enable()
        model.model.micro_dynamics.train()
        model.model.video_qformer.train()
        model(**batch, **labels).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-5, rtol=1e-4)


def test_a_few_steps_learn_a_batch(batch, labels):
    torch.manual_seed(0)
    model = MicroEmoForConditionalGeneration(tiny_config()).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = model(**batch, **labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
