from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_faces import tiny_classifier
from torch import nn

from microemo.training.face_tower.recipe import FaceTowerRecipe
from microemo.training.face_tower.targets import smooth_labels
from microemo.training.face_tower.trainer import (
    FaceTrainer,
    FaceTrainingData,
    Mixup,
    parameter_groups,
    rebalanced,
    sampled_log_prior,
    sampling_weights,
    update_average,
)

RECIPE = FaceTowerRecipe(epochs=3, batch_size=8, fewest_counted=1, teacher_weight=0)


@pytest.fixture
def training_data() -> FaceTrainingData:
    generator = np.random.default_rng(0)
    blocks = RECIPE.frozen_blocks
    shape = tiny_classifier().forward_frozen(torch.zeros(1, 3, 32, 32), blocks=blocks).permute(0, 2, 3, 1).shape[1:]
    labels = np.arange(24) % 8
    return FaceTrainingData(
        variants=generator.normal(size=(2, 30, *shape)).astype(np.float16),
        rows=np.arange(3, 27),
        labels=labels,
        targets=smooth_labels(labels, smoothing=0.1),
        scores=generator.normal(size=(24, 5)).astype(np.float32),
    )


def make_trainer(
    training_data: FaceTrainingData, *, recipe: FaceTowerRecipe = RECIPE, seed: int = 0, checkpoint=None
) -> FaceTrainer:
    torch.manual_seed(0)
    return FaceTrainer(
        tiny_classifier(dropout=recipe.dropout), data=training_data, recipe=recipe, seed=seed, checkpoint=checkpoint
    )


class Stopped(Exception):
    pass


def stop_after_first(epoch: int) -> None:
    if epoch == 0:
        raise Stopped


def test_resumed_run_equals_an_uninterrupted_one(training_data, tmp_path):
    whole = make_trainer(training_data).train().state_dict()
    stopped = make_trainer(training_data, checkpoint=tmp_path / "run.pt")
    with pytest.raises(Stopped):
        stopped.train(after_epoch=stop_after_first)
    resumed = make_trainer(training_data, checkpoint=tmp_path / "run.pt")
    result = resumed.train().state_dict()
    assert len(resumed.losses) == RECIPE.epochs
    for key, value in whole.items():
        assert torch.equal(value, result[key]), key


def test_result_depends_on_the_seed(training_data):
    first, again, other = (make_trainer(training_data, seed=seed).train().state_dict() for seed in (1, 1, 2))
    key = "static_expression.weight"
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])


def test_checkpoint_of_another_recipe_is_refused(training_data, tmp_path):
    make_trainer(training_data, checkpoint=tmp_path / "run.pt").train()
    with pytest.raises(ValueError, match="checkpoint"):
        make_trainer(training_data, seed=9, checkpoint=tmp_path / "run.pt").train()


def test_mismatched_targets_and_scores_are_refused(training_data):
    with pytest.raises(ValueError, match=r"targets must have shape \(24, 8\), got \(23, 8\)"):
        replace(training_data, targets=training_data.targets[1:])
    with pytest.raises(ValueError, match="scores has 20 entries for 24 rows"):
        replace(training_data, scores=training_data.scores[:20])


def test_no_imitation_loss_without_teachers(training_data):
    trainer = make_trainer(replace(training_data, scores=np.zeros((24, 0), dtype=np.float32)))
    trainer.train()
    assert np.isfinite(trainer.losses).all()


def test_imitation_loss_changes_the_tower(training_data):
    towers = [
        make_trainer(training_data, recipe=replace(RECIPE, imitation_weight=weight)).train().face_tower.state_dict()
        for weight in (0.0, 1.0)
    ]
    assert not torch.equal(towers[0]["conv_1x1.convolution.weight"], towers[1]["conv_1x1.convolution.weight"])


def test_frozen_blocks_are_not_trained(training_data):
    before = tiny_classifier().face_tower.state_dict()
    after = make_trainer(training_data).train().face_tower.state_dict()
    for key, value in before.items():
        layer = int(key.split(".")[1]) if key.startswith("layer.") else None
        is_frozen = key.startswith("conv_stem.") or (layer is not None and layer < RECIPE.frozen_blocks)
        if key.endswith("convolution.weight"):
            assert torch.equal(value, after[key]) == is_frozen, key


def test_learning_rate_warms_up_and_decays_to_zero(training_data):
    trainer = make_trainer(training_data)
    steps = trainer.steps_per_epoch * RECIPE.epochs
    rates = [trainer._rate(step) for step in range(steps + 1)]
    assert max(rates) == 1 and rates[-1] == 0
    peak = rates.index(1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)


def test_sampling_power_balances_classes():
    labels = np.array([0] * 30 + [1] * 10 + [2] * 2)
    even = sampling_weights(labels, power=1, fewest=1)
    assert [even[labels == label].sum() for label in range(3)] == pytest.approx([1 / 3] * 3)
    assert sampling_weights(labels, power=0, fewest=1) == pytest.approx(np.full(42, 1 / 42))
    capped = sampling_weights(labels, power=1, fewest=10)
    assert capped[labels == 2].sum() == pytest.approx(0.2 * capped[labels == 1].sum())


def test_log_prior_is_that_of_the_sampled_targets():
    labels = np.array([0] * 30 + [1] * 10)
    targets = smooth_labels(labels, smoothing=0)
    prior = sampled_log_prior(targets, weights=np.full(40, 1 / 40), fewest=1).exp()
    assert float(prior[0] / prior[1]) == pytest.approx(3)
    assert float(prior.sum()) == pytest.approx(1)
    assert float(prior[7] / prior[1]) == pytest.approx(0.1)  # absent: as if there were one


def test_mixup_uses_the_same_share_for_inputs_and_targets():
    mixup = Mixup.draw(6, alpha=0.5, generator=np.random.default_rng(3))
    inputs, targets = mixup.apply(torch.arange(6.0).view(6, 1, 1, 1)), mixup.apply(torch.eye(6))
    torch.testing.assert_close(targets @ torch.arange(6.0), inputs.flatten())
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(6))


def test_rebalancing_raises_rare_classes():
    model = tiny_classifier().eval()
    labels = np.array([0] * 80 + [1] * 20)
    pixels = torch.randn(2, 3, 64, 64)
    lifted = rebalanced(model, labels=labels, part=0.5, fewest=5)(pixels) - model(pixels)
    assert (lifted[:, 1] - lifted[:, 0]).tolist() == pytest.approx([0.5 * np.log(4)] * 2, abs=1e-5)
    assert (lifted[:, 7] - lifted[:, 1]).tolist() == pytest.approx([0.5 * np.log(4)] * 2, abs=1e-5)  # absent: as if 5
    unchanged = rebalanced(model, labels=labels, part=0, fewest=5)
    torch.testing.assert_close(unchanged(pixels), model(pixels))


def test_moving_average_includes_batch_statistics():
    average, model = tiny_classifier(seed=0), tiny_classifier(seed=1)
    for name in ("static_expression.weight", "face_tower.conv_1x1.normalization.running_var"):
        model.state_dict()[name].fill_(2.0)
        average.state_dict()[name].fill_(1.0)
    update_average(average, model=model, decay=0.75)
    for name in ("static_expression.weight", "face_tower.conv_1x1.normalization.running_var"):
        torch.testing.assert_close(average.state_dict()[name], torch.full_like(average.state_dict()[name], 1.25))


def test_parameter_groups_are_complete_and_only_matrices_decay():
    model, imitation = tiny_classifier(), nn.Linear(3, 2)
    model.freeze_first(2)
    groups = parameter_groups(model, imitation=imitation, recipe=RECIPE)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    parameters = [*model.parameters(), *imitation.parameters()]
    assert sorted(grouped) == sorted(id(parameter) for parameter in parameters if parameter.requires_grad)
    for group in groups:
        assert all((parameter.ndim > 1) == (group["weight_decay"] > 0) for parameter in group["params"])


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("teacher_weight", 1.1), ("dropout", 1.0), ("folds", 1)])
def test_invalid_recipes_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        FaceTowerRecipe(**{name: value})
