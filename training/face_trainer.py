"""One run: faces and soft targets in, the averaged face classifier out; stops and goes on between epochs."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from microemo.training.face_augmentation import FaceAugmentation, augment_face
from microemo.training.face_classifier import FaceClassifier, normalise_grey
from microemo.training.face_recipe import FaceTowerRecipe
from microemo.training.still_faces import EXPRESSIONS, StillFaces

Progress = Callable[[str, int, int], None]


class FaceTrainer:
    """Trains `model` on `faces` towards `targets` (N, 8); `average` is the result.

    Every epoch draws its chance from (seed, epoch) alone, so a run that went on from `checkpoint` equals one that
    never stopped.
    """

    def __init__(
        self,
        model: FaceClassifier,
        *,
        faces: StillFaces,
        targets: np.ndarray,
        recipe: FaceTowerRecipe,
        augmentation: FaceAugmentation,
        seed: int,
        checkpoint: Path | None = None,
    ) -> None:
        if targets.shape != (len(faces), len(EXPRESSIONS)):
            raise ValueError(f"targets must have shape ({len(faces)}, {len(EXPRESSIONS)}), got {targets.shape}")
        self.model = model
        self.faces, self.targets = faces, targets
        self.recipe, self.augmentation, self.seed = recipe, augmentation, seed
        self.checkpoint = checkpoint
        self.model.freeze_first(recipe.frozen_blocks)
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(parameter_groups(model, recipe=recipe))
        self.steps_per_epoch = math.ceil(len(faces) / recipe.batch_size)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.draw_weights = sampling_weights(faces.labels, power=recipe.sampling_power, fewest=recipe.fewest_counted)
        self.log_prior = drawn_log_prior(targets, weights=self.draw_weights, fewest=recipe.fewest_counted)
        self.losses: list[float] = []

    def train(
        self, *, progress: Progress | None = None, after_epoch: Callable[[int], None] | None = None
    ) -> FaceClassifier:
        """Runs what is left of the recipe's epochs; returns the averaged model in evaluation mode."""
        if self.checkpoint is not None and self.checkpoint.is_file():
            self._restore(self.checkpoint)
        for epoch in range(len(self.losses), self.recipe.epochs):
            self.losses.append(self._run_epoch(epoch, progress=progress))
            if self.checkpoint is not None:
                self._store(self.checkpoint)
            if after_epoch is not None:
                after_epoch(epoch)
        return self.average.eval()

    def _run_epoch(self, epoch: int, *, progress: Progress | None) -> float:
        generator = np.random.default_rng((self.seed, epoch))
        torch.manual_seed(int(generator.integers(2**31)))  # dropout
        order = generator.choice(len(self.faces), size=len(self.faces), p=self.draw_weights)
        self._set_training_mode()
        total = 0.0
        for step in range(self.steps_per_epoch):
            chosen = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            total += self._step(chosen, generator=generator) * len(chosen)
            if progress is not None:
                progress(f"epoch {epoch + 1}/{self.recipe.epochs}", step + 1, self.steps_per_epoch)
        return total / len(order)

    def _step(self, chosen: np.ndarray, *, generator: np.random.Generator) -> float:
        crops = np.stack(
            [
                augment_face(
                    self.faces.crops[row],
                    inside=self.faces.inside[row],
                    settings=self.augmentation,
                    generator=generator,
                )
                for row in chosen
            ]
        )
        inputs, targets = normalise_grey(crops), torch.from_numpy(self.targets[chosen])
        if self.recipe.mixing > 0:
            inputs, targets = mix_pairs(inputs, targets, alpha=self.recipe.mixing, generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.model(inputs.contiguous(memory_format=torch.channels_last)).float()
        # Adding the prior here and not in use asks the net for evidence alone: rare expressions count as much.
        loss = nn.functional.cross_entropy(logits + self.log_prior, targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        update_average(self.average, model=self.model, decay=self._average_decay())
        return float(loss.detach())

    def _rate(self, step: int) -> float:
        """Part of the peak rate: a linear rise, then half a cosine down to 0."""
        total = self.steps_per_epoch * self.recipe.epochs
        rise = max(1, round(total * self.recipe.warmup))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))

    def _average_decay(self) -> float:
        """Small at the start, so that the average forgets the untrained weights."""
        step = self.scheduler.last_epoch
        return min(self.recipe.average_decay, (1 + step) / (10 + step))

    def _set_training_mode(self) -> None:
        self.model.train()
        for part in self.model.frozen_parts(self.recipe.frozen_blocks):
            part.eval()

    def _store(self, path: Path) -> None:
        partial = path.with_suffix(".partial")
        state = {
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "losses": self.losses,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        torch.save(state, partial)
        partial.replace(path)

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if (state["recipe"], state["seed"]) != (asdict(self.recipe), self.seed):
            raise ValueError(
                f"checkpoint {path} was made with seed {state['seed']} and {state['recipe']}, "
                f"not with seed {self.seed} and {asdict(self.recipe)}: choose another folder or remove it"
            )
        for name in ("model", "average", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(state[name])
        self.losses = list(state["losses"])


def parameter_groups(model: FaceClassifier, *, recipe: FaceTowerRecipe) -> list[dict[str, object]]:
    """Tower and classifier at their own rates; norms and biases without weight decay."""
    groups: list[dict[str, object]] = []
    for part, rate in ((model.face_tower, recipe.tower_rate), (model.static_expression, recipe.classifier_rate)):
        trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        vectors = [parameter for parameter in trained if parameter.ndim <= 1]
        groups.append({"params": matrices, "lr": rate, "weight_decay": recipe.weight_decay})
        groups.append({"params": vectors, "lr": rate, "weight_decay": 0.0})
    return groups


def sampling_weights(labels: np.ndarray, *, power: float, fewest: int) -> np.ndarray:
    """The chance (N,) of each face to be drawn: its class's count to the -power, counts raised to `fewest`."""
    counts = np.maximum(np.bincount(labels, minlength=len(EXPRESSIONS)), fewest)
    weights = counts[labels].astype(np.float64) ** -power
    return weights / weights.sum()


def drawn_log_prior(targets: np.ndarray, *, weights: np.ndarray, fewest: int) -> torch.Tensor:
    """The log of each class's part (8,) of the targets drawn; one rarer than `fewest` in N counts as that frequent."""
    drawn = (targets * weights[:, None]).sum(axis=0)
    prior = np.maximum(drawn, min(fewest / len(targets), 1 / len(EXPRESSIONS)))
    return torch.from_numpy(np.log(prior / prior.sum())).float()


def mix_pairs(
    inputs: torch.Tensor, targets: torch.Tensor, *, alpha: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixup: every face with another of its batch, one share for all, and the targets alike."""
    share = float(generator.beta(alpha, alpha))
    partner = torch.from_numpy(generator.permutation(len(inputs)))
    return share * inputs + (1 - share) * inputs[partner], share * targets + (1 - share) * targets[partner]


@torch.no_grad()
def update_average(average: nn.Module, *, model: nn.Module, decay: float) -> None:
    """Moves `average`, batch statistics too, towards `model`; counters are copied."""
    current = model.state_dict()
    for key, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[key], 1 - decay)
        else:
            value.copy_(current[key])
