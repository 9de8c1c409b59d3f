"""A linear classifier of voices for few speakers: logistic regression and shrunk discriminant analysis, added up.

Both see the leading principal components, the weaker ones enlarged, and count every emotion of a corpus alike, however
often it was recorded. Each of the two errs on other speakers; their sum is one linear layer again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch.nn import functional as F

from microemo.data.voice_recordings import NATURAL

COMPONENTS = 500
PCA_ROWS = 1200  # the components of so many rows; more change little
ENLARGED = 0.5  # a component's spread s becomes s ** (1 - ENLARGED)
WEIGHT_DECAY = 0.0115  # against inputs of spread 1
SHRINKAGE = 0.3  # of the covariance, to its mean variance
DISCRIMINANT_SHARE = 1 / 3  # discriminant analysis is surer of itself
MOST_ITERATIONS = 150
SMALLEST_SPREAD = 1e-4
# How much each corpus counts, whatever its size.
CORPUS_WEIGHTS: Mapping[str, float] = {"ravdess": 1.0, "emodb": 0.5, NATURAL: 0.3}


@dataclass(frozen=True)
class LinearClassifier:
    """Logits ((x - centre) * scale) @ weight.T + bias: centre, scale (E,), weight (X, E), bias (X,), float32."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def logits(self, values: np.ndarray) -> np.ndarray:
        """(N, E) -> (N, X)."""
        return ((values - self.centre) * self.scale) @ self.weight.T + self.bias

    def cooled(self, temperature: float) -> LinearClassifier:
        """The classifier whose logits are divided by the temperature."""
        return LinearClassifier(self.centre, self.scale, self.weight / temperature, self.bias / temperature)


def fit_classifier(
    values: np.ndarray, *, labels: np.ndarray, corpora: Sequence[str], num_classes: int, seed: int
) -> LinearClassifier:
    """Fits statistics (N, E) of classes (N,).

    Args:
        corpora: of each row, one of `CORPUS_WEIGHTS`.
        seed: draws the rows that the principal components are of.
    """
    # Half precision, as files keep them.
    centre = values.mean(0).astype(np.float16).astype(np.float32)
    scale = (1 / np.maximum(values.std(0), SMALLEST_SPREAD)).astype(np.float16).astype(np.float32)
    inputs = ((values - centre) * scale).astype(np.float32)
    components = _components(inputs, seed=seed)  # (E, C)
    seen = inputs @ components
    enlarged = seen.std(0) ** -ENLARGED
    seen = seen * enlarged
    weight, bias = _logistic(
        seen, labels=labels, shares=row_weights(labels, corpora=np.asarray(corpora)), num_classes=num_classes
    )
    told = np.unique(labels)
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=SHRINKAGE, priors=np.full(len(told), 1 / len(told))
    ).fit(seen, labels)
    if len(told) > 2:  # for two classes it has one difference alone
        weight[told] += DISCRIMINANT_SHARE * discriminant.coef_
        bias[told] += DISCRIMINANT_SHARE * discriminant.intercept_
    return LinearClassifier(
        centre, scale, (weight * enlarged @ components.T).astype(np.float32), bias.astype(np.float32)
    )


def row_weights(labels: np.ndarray, *, corpora: np.ndarray) -> np.ndarray:
    """(N,) of mean 1: within a corpus every class counts alike, and each corpus as `CORPUS_WEIGHTS` says."""
    weights = np.zeros(len(labels))
    for corpus in np.unique(corpora):
        rows = corpora == corpus
        classes = np.unique(labels[rows])
        for each in classes:
            members = rows & (labels == each)
            weights[members] = CORPUS_WEIGHTS[str(corpus)] / len(classes) / members.sum()
    return weights / weights.mean()


def fit_temperature(logits: np.ndarray, *, labels: np.ndarray) -> float:
    """The temperature under which logits (N, X) that are not the labels' own fit are likeliest."""
    temperatures = np.exp(np.linspace(-2, 3, 251))
    rows = torch.as_tensor(logits, dtype=torch.float32)
    losses = [F.cross_entropy(rows / float(each), torch.as_tensor(labels)).item() for each in temperatures]
    return float(temperatures[int(np.argmin(losses))])


def _components(inputs: np.ndarray, *, seed: int) -> np.ndarray:
    """The leading principal axes (E, C) of inputs (N, E), which are centred nearly."""
    rows = inputs[np.random.default_rng(seed).permutation(len(inputs))[:PCA_ROWS]]
    variances, vectors = np.linalg.eigh(rows @ rows.T)
    count = min(COMPONENTS, int((variances > variances[-1] * 1e-6).sum()))
    axes = rows.T @ (vectors[:, -count:] / np.sqrt(variances[-count:]))
    return np.ascontiguousarray(axes[:, ::-1])


@torch.enable_grad()
def _logistic(
    inputs: np.ndarray, *, labels: np.ndarray, shares: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    spread = float(inputs.std())  # the decay means the same for any number of components
    x, y, share = (torch.as_tensor(each) for each in (inputs / spread, labels, shares.astype(np.float32)))
    weight = torch.zeros(num_classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = F.cross_entropy(F.linear(x, weight, bias), y, reduction="none")
        loss = (losses * share).mean() + WEIGHT_DECAY / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach().numpy() / spread, bias.detach().numpy()
