"""Training targets of the face tower: smoothed labels mixed with calibrated teacher probabilities."""

from __future__ import annotations

import numpy as np
import torch

from microemo.data.still_faces import EXPRESSIONS, identity_folds

STACKING_FOLDS = 5
STACKING_STEPS = 300
STACKING_RIDGE = 3e-3  # weight decay of the calibration; the scores are standardised
STACKING_RATE = 0.05


def smooth_labels(labels: np.ndarray, *, smoothing: float) -> np.ndarray:
    """Smoothed one-hot labels (N, 8) float32."""
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    rows = np.full((len(labels), len(EXPRESSIONS)), smoothing / len(EXPRESSIONS), dtype=np.float32)
    rows[np.arange(len(labels)), labels] += 1 - smoothing
    return rows


def calibrated_teacher_targets(scores: np.ndarray, *, labels: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """Maps teacher scores (N, S) to probabilities (N, 8) of the data set's classes.

    A softmax regression from scores to labels is cross-fitted over identities, so that no face's label leaks into its
    own target.
    """
    folds = identity_folds(identities, folds=STACKING_FOLDS)
    standardised = standardise(scores)
    targets = np.zeros((len(labels), len(EXPRESSIONS)), dtype=np.float32)
    for fold in np.unique(folds):
        held_out = folds == fold
        weight, bias = _softmax_regression(standardised[~held_out], labels=labels[~held_out])
        logits = torch.from_numpy(standardised[held_out]).float() @ weight + bias
        targets[held_out] = torch.softmax(logits, dim=1).numpy()
    return targets


def standardise(scores: np.ndarray) -> np.ndarray:
    """Scales scores (N, S) to mean 0 and standard deviation 1 over the faces, float32; a constant score becomes 0."""
    spread = scores.std(axis=0)
    return ((scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def mixed_targets(labels: np.ndarray, *, smoothing: float, teachers: np.ndarray | None, weight: float) -> np.ndarray:
    """(1 - weight) * smoothed labels + weight * teacher probabilities, (N, 8) float32."""
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
