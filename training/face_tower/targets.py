"""What the face tower is trained towards: the rater's label, softened, and mixed with what calibrated teachers say."""

from __future__ import annotations

import numpy as np
import torch

from microemo.data.still_faces import EXPRESSIONS, identity_folds

STACKING_FOLDS = 5
STACKING_STEPS = 300
STACKING_RIDGE = 3e-3  # weight decay of the calibration; the scores are standardised
STACKING_RATE = 0.05


def smooth_labels(labels: np.ndarray, *, smoothing: float) -> np.ndarray:
    """One-hot rows (N, 8) float32 with the part `smoothing` spread evenly."""
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    rows = np.full((len(labels), len(EXPRESSIONS)), smoothing / len(EXPRESSIONS), dtype=np.float32)
    rows[np.arange(len(labels)), labels] += 1 - smoothing
    return rows


def calibrated_teacher_targets(scores: np.ndarray, *, labels: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """What the teachers' scores (N, S) say about each face in the stills' own terms: probabilities (N, 8).

    A softmax regression from scores to labels is fitted on some identities and asked about the others, so that no
    face's own label comes back in its target.
    """
    folds = identity_folds(identities, folds=STACKING_FOLDS)
    standard = standardise(scores)
    targets = np.zeros((len(labels), len(EXPRESSIONS)), dtype=np.float32)
    for fold in np.unique(folds):
        asked = folds == fold
        weight, bias = _softmax_regression(standard[~asked], labels=labels[~asked])
        targets[asked] = torch.softmax(torch.from_numpy(standard[asked]).float() @ weight + bias, dim=1).numpy()
    return targets


def standardise(scores: np.ndarray) -> np.ndarray:
    """Scores (N, S) as float32 of mean 0 and deviation 1 over the faces; a constant score becomes 0."""
    spread = scores.std(axis=0)
    return ((scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def mixed_targets(labels: np.ndarray, *, smoothing: float, teachers: np.ndarray | None, weight: float) -> np.ndarray:
    """(1 - weight) of the smoothed labels and `weight` of the teachers' probabilities, (N, 8) float32."""
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must be in [0, 1], got {weight}")
    rows = smooth_labels(labels, smoothing=smoothing)
    if teachers is None:
        return rows
    return ((1 - weight) * rows + weight * teachers).astype(np.float32)


def _softmax_regression(scores: np.ndarray, *, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, targets = torch.from_numpy(scores).float(), torch.from_numpy(labels)
    weight = torch.zeros(inputs.shape[1], len(EXPRESSIONS), requires_grad=True)
    bias = torch.zeros(len(EXPRESSIONS), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=STACKING_RATE)
    for _ in range(STACKING_STEPS):
        loss = (
            torch.nn.functional.cross_entropy(inputs @ weight + bias, targets) + STACKING_RIDGE * weight.square().sum()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.detach(), bias.detach()
