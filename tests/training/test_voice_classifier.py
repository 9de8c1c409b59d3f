"""The linear voice emotion classifier."""

import numpy as np
import pytest

from microemo.training.perception.voice_classifier import fit_classifier, fit_temperature, row_weights


def recordings(*, count: int, seed: int):
    """Statistics with large means; two of them separate three of four classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    values = 30 + 0.2 * rng.standard_normal((count, 20)).astype(np.float32)
    values[:, 0] += 0.8 * (labels == 1)
    values[:, 1] += 0.8 * (labels == 2)
    return values, labels


def test_classifier_generalises_to_other_recordings():
    values, labels = recordings(count=200, seed=1)
    classifier = fit_classifier(values, labels=labels, corpora=["ravdess"] * 200, num_classes=4, seed=0)
    others, true_labels = recordings(count=200, seed=2)
    logits = classifier.logits(others)
    assert (logits.argmax(-1) == true_labels).mean() > 0.9
    assert classifier.weight.shape == (4, 20)
    assert logits.argmax(-1).max() < 3, "a class without examples is never predicted"


def test_temperature_divides_the_logits():
    values, labels = recordings(count=100, seed=1)
    classifier = fit_classifier(values, labels=labels, corpora=["emodb"] * 100, num_classes=4, seed=0)
    halved = classifier.with_temperature(2.0).logits(values)
    np.testing.assert_allclose(halved, classifier.logits(values) / 2, rtol=1e-4, atol=1e-4)


def test_row_weights_balance_classes_and_corpora():
    labels = np.array([0, 0, 0, 1, 0, 1, 1])
    corpora = np.array(["ravdess"] * 4 + ["emodb"] * 3)
    weights = row_weights(labels, corpora=corpora)
    assert weights.mean() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights[:4].sum() == pytest.approx(2 * weights[4:].sum()), "RAVDESS counts twice as much as EmoDB"


def test_temperature_of_overconfident_logits():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in probabilities])
    assert fit_temperature(3 * logits, labels=labels) == pytest.approx(3, rel=0.15)
