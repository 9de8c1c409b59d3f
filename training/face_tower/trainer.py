"""One run: features of faces and soft targets in, the averaged face classifier out; resumable between epochs."""

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
class FaceLessons:
    """What a run learns from: N faces.

    variants: (V, M, h, w, d) float16 hidden features of V augmented variants of M faces; rows: (N,) int, which of the
    M. labels: (N,) index into `EXPRESSIONS`. targets: (N, 8) float32 probabilities. scores: (N, S) float32, what
    teachers say of each face, standardised; S may be 0.
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
    """Trains the upper part of `model`; `average` is the result.

    Every epoch draws its chance from (seed, epoch) alone, so a run that went on from `checkpoint` equals one that
    never stopped.
    """

    def __init__(
        self,
        model: FaceClassifier,
        *,
        lessons: FaceLessons,
        recipe: FaceTowerRecipe,
        seed: int,
        checkpoint: Path | None = None,
    ) -> None:
        self.lessons, self.recipe, self.seed, self.checkpoint = lessons, recipe, seed, checkpoint
        self.model = model
        self.model.freeze_first(recipe.frozen_blocks)
        self.average = copy.deepcopy(model).requires_grad_(False)
        widen_strided_convolutions(self.model.face_tower)
        # Tells the teachers' scores from the face features, so that these hold what the teachers saw; not kept.
        self.imitation = nn.Linear(model.static_expression.in_features, max(1, lessons.scores.shape[1]))
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, imitation=self.imitation, recipe=recipe), fused=True
        )
        self.steps_per_epoch = math.ceil(len(lessons) / recipe.batch_size)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.draw_weights = sampling_weights(lessons.labels, power=recipe.sampling_power, fewest=recipe.fewest_counted)
        self.log_prior = drawn_log_prior(lessons.targets, weights=self.draw_weights, fewest=recipe.fewest_counted)
        self.losses: list[float] = []

    def train(
        self, *, progress: Progress | None = None, after_epoch: Callable[[int], None] | None = None
    ) -> FaceClassifier:
        """Runs what is left of the recipe's epochs; returns the averaged, rebalanced model in evaluation mode."""
        if self.checkpoint is not None and self.checkpoint.is_file():
            self._restore(self.checkpoint)
        for epoch in range(len(self.losses), self.recipe.epochs):
            self.losses.append(self._run_epoch(epoch, progress=progress))
            if self.checkpoint is not None:
                self._store(self.checkpoint)
            if after_epoch is not None:
                after_epoch(epoch)
        return rebalanced(
            self.average, labels=self.lessons.labels, part=self.recipe.class_balance, fewest=self.recipe.fewest_counted
        )

    def _run_epoch(self, epoch: int, *, progress: Progress | None) -> float:
        generator = np.random.default_rng((self.seed, epoch))
        torch.manual_seed(int(generator.integers(2**31)))  # dropout
        order = generator.choice(len(self.lessons), size=len(self.lessons), p=self.draw_weights)
        variant = self.lessons.variants[epoch % len(self.lessons.variants)]
        self._set_training_mode()
        total = 0.0
        for step in range(self.steps_per_epoch):
            chosen = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            hidden = torch.from_numpy(variant[self.lessons.rows[chosen]]).float().permute(0, 3, 1, 2)  # (B, d, h, w)
            total += self._step(hidden, chosen=chosen, generator=generator) * len(chosen)
            if progress is not None:
                progress(f"epoch {epoch + 1}/{self.recipe.epochs}", step + 1, self.steps_per_epoch)
        return total / len(order)

    def _step(self, hidden: torch.Tensor, *, chosen: np.ndarray, generator: np.random.Generator) -> float:
        targets = torch.from_numpy(self.lessons.targets[chosen])
        scores = torch.from_numpy(self.lessons.scores[chosen])
        if self.recipe.mixing > 0:
            mixture = Mixture.draw(len(chosen), alpha=self.recipe.mixing, generator=generator)
            hidden, targets, scores = mixture.of(hidden), mixture.of(targets), mixture.of(scores)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = self.model.finish(hidden, blocks=self.recipe.frozen_blocks)
        loss = self._loss(features.float(), targets=targets, scores=scores)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        update_average(self.average, model=self.model, decay=self._average_decay())
        return float(loss.detach())

    def _loss(self, features: torch.Tensor, *, targets: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits = self.model.static_expression(self.model.dropout(features))
        # Adding the prior here and not in use asks the net for evidence alone: rare expressions count as much.
        loss = nn.functional.cross_entropy(logits + self.log_prior, targets)
        if scores.shape[1] and self.recipe.imitation_weight:
            loss = loss + self.recipe.imitation_weight * nn.functional.mse_loss(self.imitation(features), scores)
        return loss

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
    """Tower and linear layers at their own rates; norms and biases without weight decay."""
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
    """The chance (N,) of each face to be drawn: its class's count to the -power, counts raised to `fewest`."""
    counts = np.maximum(np.bincount(labels, minlength=len(EXPRESSIONS)), fewest)
    weights = counts[labels].astype(np.float64) ** -power
    return weights / weights.sum()


def drawn_log_prior(targets: np.ndarray, *, weights: np.ndarray, fewest: int) -> torch.Tensor:
    """The log of each class's part (8,) of the targets drawn; one rarer than `fewest` in N counts as that frequent."""
    drawn = (targets * weights[:, None]).sum(axis=0)
    prior = np.maximum(drawn, min(fewest / len(targets), 1 / len(EXPRESSIONS)))
    return torch.from_numpy(np.log(prior / prior.sum())).float()


def rebalanced(model: FaceClassifier, *, labels: np.ndarray, part: float, fewest: int) -> FaceClassifier:
    """A copy in evaluation mode whose logits are less by `part` of the log of each class's frequency in `labels`.

    Training towards equal classes does not quite reach the rare ones, whose few faces are learned by heart. Classes
    rarer than `fewest` count as that frequent.
    """
    counts = np.maximum(np.bincount(labels, minlength=len(EXPRESSIONS)), fewest)
    model = copy.deepcopy(model).eval()
    with torch.no_grad():
        model.static_expression.bias.sub_(part * torch.from_numpy(np.log(counts / counts.sum())).float())
    return model


@dataclass(frozen=True)
class Mixture:
    """Mixup: every face with a partner of its batch, one share for all. partner: (B,) int."""

    share: float
    partner: torch.Tensor

    @staticmethod
    def draw(size: int, *, alpha: float, generator: np.random.Generator) -> Mixture:
        """A share from the beta distribution of `alpha` and a random partner for each of `size` faces."""
        return Mixture(float(generator.beta(alpha, alpha)), torch.from_numpy(generator.permutation(size)))

    def of(self, values: torch.Tensor) -> torch.Tensor:
        """The mixture of values (B, ...)."""
        return self.share * values + (1 - self.share) * values[self.partner]


@torch.no_grad()
def update_average(average: nn.Module, *, model: nn.Module, decay: float) -> None:
    """Moves `average`, batch statistics too, towards `model`; counters are copied."""
    current = model.state_dict()
    for key, value in average.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(current[key], 1 - decay)
        else:
            value.copy_(current[key])
