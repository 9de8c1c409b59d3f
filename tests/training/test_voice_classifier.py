"""The linear classifier of voices."""

import numpy as np
import pytest

from microemo.training.perception.voice_classifier import fit_classifier, fit_temperature, row_weights


def recordings(*, count: int, seed: int):
    """Statistics of large means, two of which tell three of four classes apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    values = 30 + 0.2 * rng.standard_normal((count, 20)).astype(np.float32)
    values[:, 0] += 0.8 * (labels == 1)
    values[:, 1] += 0.8 * (labels == 2)
    return values, labels


def test_other_recordings_are_told_too():
    values, labels = recordings(count=200, seed=1)
    found = fit_classifier(values, labels=labels, corpora=["ravdess"] * 200, num_classes=4, seed=0)
    others, answers = recordings(count=200, seed=2)
    logits = found.logits(others)
    assert (logits.argmax(-1) == answers).mean() > 0.9
    assert found.weight.shape == (4, 20) and logits.argmax(-1).max() < 3, "nothing is told of a class without examples"


def test_cooling_changes_no_answer():
    values, labels = recordings(count=100, seed=1)
    found = fit_classifier(values, labels=labels, corpora=["emodb"] * 100, num_classes=4, seed=0)
    np.testing.assert_allclose(found.cooled(2.0).logits(values), found.logits(values) / 2, rtol=1e-4, atol=1e-4)


def test_every_class_of_a_corpus_counts_alike():
    labels = np.array([0, 0, 0, 1, 0, 1, 1])
    corpora = np.array(["ravdess"] * 4 + ["emodb"] * 3)
    weights = row_weights(labels, corpora=corpora)
    assert weights.mean() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3])
    assert weights[:4].sum() == pytest.approx(2 * weights[4:].sum()), "RAVDESS counts twice as much as EmoDB"


def test_the_temperature_of_logits_that_are_too_sure():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in shares])
    assert fit_temperature(3 * logits, labels=labels) == pytest.approx(3, rel=0.15)
