"""Trainer of the face tower's upper blocks on precomputed features; resumable after each epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from microemo.data.still_faces import EXPRESSIONS
from microemo.training.face_tower.classifier import FaceClassifier, widen_strided_convolutions
from microemo.training.face_tower.recipe import FaceTowerRecipe

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FaceTrainingData:
    """Training data of N faces.

    Args:
        variants: (V, M, h, w, d) float16 hidden features of V augmented variants of M faces.
        rows: (N,) int, indices of the N training faces among the M.
        labels: (N,) indices into `EXPRESSIONS`.
        targets: (N, 8) float32 probabilities.
        scores: (N, S) float32 standardised teacher scores; S may be 0.
    """

    variants: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.rows)
        if self.targets.shape != (count, len(EXPRESSIONS)):
            raise ValueError(f"targets must have shape ({count}, {len(EXPRESSIONS)}), got {self.targets.shape}")
        for name in ("labels", "scores"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {count} rows")

    def __len__(self) -> int:
        return len(self.rows)


class FaceTrainer:
    """Trains the upper blocks of `model`; the result is the moving average of its weights.

    The random numbers of an epoch depend on (seed, epoch) only, so that a resumed run equals an uninterrupted one.
    """

    def __init__(
        self,
        model: FaceClassifier,
        *,
        data: FaceTrainingData,
        recipe: FaceTowerRecipe,
        seed: int,
        checkpoint: Path | None = None,
    ) -> None:
        self.data, self.recipe, self.seed, self.checkpoint = data, recipe, seed, checkpoint
        self.model = model
        self.model.freeze_first(recipe.frozen_blocks)
        self.average = copy.deepcopy(model).requires_grad_(False)
        widen_strided_convolutions(self.model.face_tower)
        # Auxiliary head that predicts the teachers' scores from the face features; not saved with the tower.
        self.imitation = nn.Linear(model.static_expression.in_features, max(1, data.scores.shape[1]))
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, imitation=self.imitation, recipe=recipe), fused=True
        )
        self.steps_per_epoch = math.ceil(len(data) / recipe.batch_size)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.sampling_weights = sampling_weights(
            data.labels, power=recipe.sampling_power, fewest=recipe.fewest_counted
        )
        self.log_prior = sampled_log_prior(data.targets, weights=self.sampling_weights, fewest=recipe.fewest_counted)
        self.losses: list[float] = []

    def train(
        self, *, progress: Progress | None = None, after_epoch: Callable[[int], None] | None = None
    ) -> FaceClassifier:
        """Runs the remaining epochs. Returns the averaged, rebalanced model in evaluation mode."""
        if self.checkpoint is not None and self.checkpoint.is_file():
            self._restore(self.checkpoint)
        for epoch in range(len(self.losses), self.recipe.epochs):
            self.losses.append(self._run_epoch(epoch, progress=progress))
            if self.checkpoint is not None:
                self._store(self.checkpoint)
            if after_epoch is not None:
                after_epoch(epoch)
        return rebalanced(
            self.average, labels=self.data.labels, part=self.recipe.class_balance, fewest=self.recipe.fewest_counted
        )

    def _run_epoch(self, epoch: int, *, progress: Progress | None) -> float:
        generator = np.random.default_rng((self.seed, epoch))
        torch.manual_seed(int(generator.integers(2**31)))  # dropout
        order = generator.choice(len(self.data), size=len(self.data), p=self.sampling_weights)
        variant = self.data.variants[epoch % len(self.data.variants)]
        self._set_training_mode()
        total = 0.0
        for step in range(self.steps_per_epoch):
            batch = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            hidden = torch.from_numpy(variant[self.data.rows[batch]]).float().permute(0, 3, 1, 2)  # (B, d, h, w)
            total += self._step(hidden, batch=batch, generator=generator) * len(batch)
            if progress is not None:
                progress(f"epoch {epoch + 1}/{self.recipe.epochs}", step + 1, self.steps_per_epoch)
        return total / len(order)

    def _step(self, hidden: torch.Tensor, *, batch: np.ndarray, generator: np.random.Generator) -> float:
        targets = torch.from_numpy(self.data.targets[batch])
        scores = torch.from_numpy(self.data.scores[batch])
        if self.recipe.mixing > 0:
            mixup = Mixup.draw(len(batch), alpha=self.recipe.mixing, generator=generator)
            hidden, targets, scores = mixup.apply(hidden), mixup.apply(targets), mixup.apply(scores)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = self.model.forward_trained(hidden, blocks=self.recipe.frozen_blocks)
        loss = self._loss(features.float(), targets=targets, scores=scores)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        update_average(self.average, model=self.model, decay=self._average_decay())
        return float(loss.detach())

    def _loss(self, features: torch.Tensor, *, targets: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits = self.model.static_expression(self.model.dropout(features))
        # Logit adjustment: the prior is added in training only, so that the logits do not contain it in use.
        loss = nn.functional.cross_entropy(logits + self.log_prior, targets)
        if scores.shape[1] and self.recipe.imitation_weight:
            loss = loss + self.recipe.imitation_weight * nn.functional.mse_loss(self.imitation(features), scores)
        return loss

    def _rate(self, step: int) -> float:
        """Fraction of the peak learning rate: linear warmup, then cosine decay to 0."""
        total = self.steps_per_epoch * self.recipe.epochs
        rise = max(1, round(total * self.recipe.warmup))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))

    def _average_decay(self) -> float:
        """Decay of the moving average; small at the start, to drop the untrained weights."""
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
            "imitation": self.imitation.state_dict(),
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
        for name in ("model", "average", "imitation", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(state[name])
        self.losses = list(state["losses"])


def parameter_groups(
    model: FaceClassifier, *, imitation: nn.Module, recipe: FaceTowerRecipe
) -> list[dict[str, object]]:
    """Tower and linear layers with separate learning rates; norms and biases without weight decay."""
    groups: list[dict[str, object]] = []
    rates: list[tuple[nn.Module, float]] = [
        (model.face_tower, recipe.tower_rate),
        (model.static_expression, recipe.classifier_rate),
        (imitation, recipe.classifier_rate),
    ]
    for part, rate in rates:
        trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
        matrices = [parameter for parameter in trained if parameter.ndim > 1]
        vectors = [parameter for parameter in trained if parameter.ndim <= 1]
        groups.append({"params": matrices, "lr": rate, "weight_decay": recipe.weight_decay})
        groups.append({"params": vectors, "lr": rate, "weight_decay": 0.0})
    return groups


def sampling_weights(labels: np.ndarray, *, power: float, fewest: int) -> np.ndarray:
    """Sampling probability (N,) of each face, proportional to max(class count, fewest) ** -power."""
    counts = np.maximum(np.bincount(labels, minlength=len(EXPRESSIONS)), fewest)
    weights = counts[labels].astype(np.float64) ** -power
    return weights / weights.sum()


def sampled_log_prior(targets: np.ndarray, *, weights: np.ndarray, fewest: int) -> torch.Tensor:
    """Log class frequencies (8,) of the sampled targets, each at least that of `fewest` faces in N."""
    frequencies = (targets * weights[:, None]).sum(axis=0)
    prior = np.maximum(frequencies, min(fewest / len(targets), 1 / len(EXPRESSIONS)))
    return torch.from_numpy(np.log(prior / prior.sum())).float()


def rebalanced(model: FaceClassifier, *, labels: np.ndarray, part: float, fewest: int) -> FaceClassifier:
    """Returns a copy in evaluation mode with `part` of the log class frequencies subtracted from the logits.

    Balanced sampling alone leaves low recall on rare classes, whose few faces are overfitted. Class counts are raised
    to `fewest`.
    """
    counts = np.maximum(np.bincount(labels, minlength=len(EXPRESSIONS)), fewest)
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        model.static_expression.bias.sub_(part * torch.from_numpy(np.log(counts / counts.sum())).float())
    return model


@dataclass(frozen=True)
class Mixup:
    """Mixup of a batch: each face with a random partner, with one share for the batch. partner: (B,) int."""

    share: float
    partner: torch.Tensor

    @staticmethod
    def draw(size: int, *, alpha: float, generator: np.random.Generator) -> Mixup:
        """Draws the share from Beta(alpha, alpha) and a partner for each of `size` faces."""
        return Mixup(float(generator.beta(alpha, alpha)), torch.from_numpy(generator.permutation(size)))

    def apply(self, values: torch.Tensor) -> torch.Tensor:
        """Mixes values (B, ...) with those of the partners."""
        return self.share * values + (1 - self.share) * values[self.partner]


@torch.no_grad()
def update_average(average: nn.Module, *, model: nn.Module, decay: float) -> None:
    """Updates the moving average of weights and batch statistics in place; integer counters are copied."""
    current = model.state_dict()
    for key, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[key], 1 - decay)
        else:
            value.copy_(current[key])
