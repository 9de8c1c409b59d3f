import numpy as np
import pytest
import torch
from tiny_faces import tiny_classifier

from microemo.training.expression_targets import smooth_labels
from microemo.training.face_augmentation import FaceAugmentation
from microemo.training.face_recipe import FaceTowerRecipe
from microemo.training.face_trainer import (
    FaceTrainer,
    drawn_log_prior,
    mix_pairs,
    parameter_groups,
    sampling_weights,
    update_average,
)
from microemo.training.still_faces import StillFaces

RECIPE = FaceTowerRecipe(epochs=3, batch_size=8, fewest_counted=1, teacher_weight=0)


@pytest.fixture
def faces() -> StillFaces:
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 8
    return StillFaces(
        crops=generator.integers(0, 256, size=(24, 32, 32), dtype=np.uint8),
        inside=np.ones((24, 32, 32), dtype=bool),
        labels=labels,
        identities=np.array([f"person-{number}" for number in range(24)]),
        files=np.array([f"{number}.png" for number in range(24)]),
    )


def make_trainer(
    faces: StillFaces, *, recipe: FaceTowerRecipe = RECIPE, seed: int = 0, checkpoint=None
) -> FaceTrainer:
    return FaceTrainer(
        tiny_classifier(dropout=recipe.dropout),
        faces=faces,
        targets=smooth_labels(faces.labels, smoothing=0.1),
        recipe=recipe,
        augmentation=FaceAugmentation(),
        seed=seed,
        checkpoint=checkpoint,
    )


class Stopped(Exception):
    pass


def stop_after_first(epoch: int) -> None:
    if epoch == 0:
        raise Stopped


def test_a_run_that_was_stopped_ends_as_one_that_was_not(faces, tmp_path):
    whole = make_trainer(faces).train().state_dict()
    stopped = make_trainer(faces, checkpoint=tmp_path / "run.pt")
    with pytest.raises(Stopped):
        stopped.train(after_epoch=stop_after_first)
    resumed = make_trainer(faces, checkpoint=tmp_path / "run.pt")
    result = resumed.train().state_dict()
    assert len(resumed.losses) == RECIPE.epochs
    for key, value in whole.items():
        assert torch.equal(value, result[key]), key


def test_the_seed_decides(faces):
    first, again, other = (make_trainer(faces, seed=seed).train().state_dict() for seed in (1, 1, 2))
    key = "static_expression.weight"
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])


def test_a_checkpoint_of_another_recipe_is_refused(faces, tmp_path):
    make_trainer(faces, checkpoint=tmp_path / "run.pt").train()
    with pytest.raises(ValueError, match="checkpoint"):
        make_trainer(faces, seed=9, checkpoint=tmp_path / "run.pt").train()


def test_targets_must_fit_the_faces(faces):
    with pytest.raises(ValueError, match=r"targets must have shape \(24, 8\), got \(23, 8\)"):
        FaceTrainer(
            tiny_classifier(),
            faces=faces,
            targets=np.zeros((23, 8), dtype=np.float32),
            recipe=RECIPE,
            augmentation=FaceAugmentation(),
            seed=0,
        )


def test_the_rate_rises_and_falls_to_nothing(faces):
    trainer = make_trainer(faces)
    steps = trainer.steps_per_epoch * RECIPE.epochs
    rates = [trainer._rate(step) for step in range(steps + 1)]
    assert max(rates) == 1 and rates[-1] == 0
    peak = rates.index(1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)


def test_full_sampling_power_draws_classes_evenly_and_none_draws_faces_evenly():
    labels = np.array([0] * 30 + [1] * 10 + [2] * 2)
    even = sampling_weights(labels, power=1, fewest=1)
    assert [even[labels == label].sum() for label in range(3)] == pytest.approx([1 / 3] * 3)
    assert sampling_weights(labels, power=0, fewest=1) == pytest.approx(np.full(42, 1 / 42))
    capped = sampling_weights(labels, power=1, fewest=10)
    assert capped[labels == 2].sum() == pytest.approx(0.2 * capped[labels == 1].sum())


def test_the_prior_is_that_of_the_targets_drawn():
    labels = np.array([0] * 30 + [1] * 10)
    targets = smooth_labels(labels, smoothing=0)
    prior = drawn_log_prior(targets, weights=np.full(40, 1 / 40), fewest=1).exp()
    assert float(prior[0] / prior[1]) == pytest.approx(3)
    assert float(prior.sum()) == pytest.approx(1)
    assert float(prior[7] / prior[1]) == pytest.approx(0.1)  # absent: as if there were one


def test_mixup_mixes_inputs_and_targets_alike():
    inputs = torch.arange(6.0).view(6, 1, 1, 1)
    targets = torch.eye(6)
    mixed, mixed_targets = mix_pairs(inputs, targets, alpha=0.5, generator=np.random.default_rng(3))
    torch.testing.assert_close(mixed_targets @ torch.arange(6.0), mixed.flatten())
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(6))


def test_the_average_moves_by_its_decay_and_takes_batch_statistics_along():
    average, model = tiny_classifier(seed=0), tiny_classifier(seed=1)
    for name in ("static_expression.weight", "face_tower.conv_1x1.normalization.running_var"):
        model.state_dict()[name].fill_(2.0)
        average.state_dict()[name].fill_(1.0)
    update_average(average, model=model, decay=0.75)
    for name in ("static_expression.weight", "face_tower.conv_1x1.normalization.running_var"):
        torch.testing.assert_close(average.state_dict()[name], torch.full_like(average.state_dict()[name], 1.25))


def test_every_trained_parameter_is_in_one_group_and_only_matrices_decay():
    model = tiny_classifier()
    model.freeze_first(2)
    groups = parameter_groups(model, recipe=RECIPE)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trained = [id(parameter) for parameter in model.parameters() if parameter.requires_grad]
    assert sorted(grouped) == sorted(trained)
    for group in groups:
        assert all((parameter.ndim > 1) == (group["weight_decay"] > 0) for parameter in group["params"])


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("teacher_weight", 1.1), ("dropout", 1.0), ("folds", 1)])
def test_impossible_recipes_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        FaceTowerRecipe(**{name: value})
