"""A linear voice emotion classifier for data of few speakers: logistic regression plus shrinkage LDA.

Both are fitted on the leading principal components, partly whitened, with equal weight for every emotion of a corpus.
They err on different speakers, and their sum is again a single linear layer.
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
PCA_ROWS = 1200  # rows sampled for the PCA
WHITENING = 0.5  # a component's standard deviation s becomes s ** (1 - WHITENING)
WEIGHT_DECAY = 0.0115  # for inputs of standard deviation 1
SHRINKAGE = 0.3  # of the covariance towards its mean variance
DISCRIMINANT_WEIGHT = 1 / 3  # of the LDA logits, which are larger
MAX_ITERATIONS = 150
MIN_DEVIATION = 1e-4
# Total weight of each corpus, independent of its size.
CORPUS_WEIGHTS: Mapping[str, float] = {"ravdess": 1.0, "emodb": 0.5, NATURAL: 0.3}


@dataclass(frozen=True)
class LinearClassifier:
    """Logits ((x - centre) * scale) @ weight.T + bias: centre, scale (E,), weight (X, E), bias (X,), float32."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Logits (N, X) of values (N, E)."""
        return ((values - self.centre) * self.scale) @ self.weight.T + self.bias

    def with_temperature(self, temperature: float) -> LinearClassifier:
        """Divides the logits by a temperature."""
        return LinearClassifier(self.centre, self.scale, self.weight / temperature, self.bias / temperature)


def fit_classifier(
    values: np.ndarray, *, labels: np.ndarray, corpora: Sequence[str], num_classes: int, seed: int
) -> LinearClassifier:
    """Fits the classifier on statistics (N, E) with labels (N,).

    Args:
        corpora: corpus of each row, a key of `CORPUS_WEIGHTS`.
        seed: of the sample of rows for the PCA.
    """
    # Rounded to float16, as in the weight file.
    centre = values.mean(0).astype(np.float16).astype(np.float32)
    scale = (1 / np.maximum(values.std(0), MIN_DEVIATION)).astype(np.float16).astype(np.float32)
    inputs = ((values - centre) * scale).astype(np.float32)
    components = _components(inputs, seed=seed)  # (E, C)
    projected = inputs @ components
    whitening = projected.std(0) ** -WHITENING
    projected = projected * whitening
    weight, bias = _logistic_regression(
        projected, labels=labels, weights=row_weights(labels, corpora=np.asarray(corpora)), num_classes=num_classes
    )
    classes = np.unique(labels)
    discriminant = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=SHRINKAGE, priors=np.full(len(classes), 1 / len(classes))
    ).fit(projected, labels)
    if len(classes) > 2:  # with two classes, scikit-learn returns a single row
        weight[classes] += DISCRIMINANT_WEIGHT * discriminant.coef_
        bias[classes] += DISCRIMINANT_WEIGHT * discriminant.intercept_
    return LinearClassifier(
        centre, scale, (weight * whitening @ components.T).astype(np.float32), bias.astype(np.float32)
    )


def row_weights(labels: np.ndarray, *, corpora: np.ndarray) -> np.ndarray:
    """Weights (N,) of mean 1: classes are balanced within a corpus, corpora are weighted by `CORPUS_WEIGHTS`."""
    weights = np.zeros(len(labels))
    for corpus in np.unique(corpora):
        rows = corpora == corpus
        classes = np.unique(labels[rows])
        for label in classes:
            members = rows & (labels == label)
            weights[members] = CORPUS_WEIGHTS[str(corpus)] / len(classes) / members.sum()
    return weights / weights.mean()


def fit_temperature(logits: np.ndarray, *, labels: np.ndarray) -> float:
    """The temperature of maximum likelihood for held-out logits (N, X)."""
    temperatures = np.exp(np.linspace(-2, 3, 251))
    rows = torch.as_tensor(logits, dtype=torch.float32)
    losses = [
        F.cross_entropy(rows / float(temperature), torch.as_tensor(labels)).item() for temperature in temperatures
    ]
    return float(temperatures[int(np.argmin(losses))])


def _components(inputs: np.ndarray, *, seed: int) -> np.ndarray:
    """The leading principal axes (E, C) of centred inputs (N, E)."""
    rows = inputs[np.random.default_rng(seed).permutation(len(inputs))[:PCA_ROWS]]
    variances, vectors = np.linalg.eigh(rows @ rows.T)
    count = min(COMPONENTS, int((variances > variances[-1] * 1e-6).sum()))
    axes = rows.T @ (vectors[:, -count:] / np.sqrt(variances[-count:]))
    return np.ascontiguousarray(axes[:, ::-1])


@torch.enable_grad()
def _logistic_regression(
    inputs: np.ndarray, *, labels: np.ndarray, weights: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    deviation = float(inputs.std())  # makes the weight decay independent of the number of components
    x, y = torch.as_tensor(inputs / deviation), torch.as_tensor(labels)
    row_weight = torch.as_tensor(weights.astype(np.float32))
    weight = torch.zeros(num_classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = F.cross_entropy(F.linear(x, weight, bias), y, reduction="none")
        loss = (losses * row_weight).mean() + WEIGHT_DECAY / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weight.detach().numpy() / deviation, bias.detach().numpy()
