import numpy as np
import pytest

from microemo.evaluation.metrics.multi_label import (
    UNKNOWN,
    Thresholds,
    fit_thresholds,
    label_counts,
    macro_f1,
    micro_f1,
)

TARGETS = np.array([[1, 0, 1], [0, 1, UNKNOWN], [1, 0, 0]], dtype=float)
PROBABILITIES = np.array([[0.9, 0.6, 0.2], [0.4, 0.5, 0.9], [0.1, 0.1, 0.8]])
HALF = np.full(3, 0.5)


def counted(targets, probabilities, thresholds):
    return label_counts(targets, probabilities, thresholds=thresholds).sum(axis=0)


def test_counts_by_hand():
    counts = counted(TARGETS, PROBABILITIES, HALF)
    # right, wrongly given, missed; the unknown entry of the third label is not counted
    assert counts.tolist() == [[1, 0, 1], [1, 1, 0], [0, 1, 1]]


def test_micro_and_macro_f1_by_hand():
    counts = counted(TARGETS, PROBABILITIES, HALF)
    assert micro_f1(counts) == pytest.approx(2 * 2 / (2 * 2 + 2 + 2))
    assert macro_f1(counts, labels=np.array([True, True, True])) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert macro_f1(counts, labels=np.array([True, True, False])) == pytest.approx(2 / 3)


def test_no_predictions_and_no_references_give_zero():
    counts = counted(np.zeros((2, 2)), np.zeros((2, 2)), np.full(2, 0.5))
    assert micro_f1(counts) == 0


def test_both_f1_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is an extra")
    rng = np.random.default_rng(0)
    targets, probabilities = (rng.random((60, 5)) < 0.3).astype(float), rng.random((60, 5))
    counts = counted(targets, probabilities, np.full(5, 0.5))
    given = probabilities >= 0.5
    assert micro_f1(counts) == pytest.approx(metrics.f1_score(targets, given, average="micro"))
    assert macro_f1(counts, labels=np.ones(5, bool)) == pytest.approx(
        metrics.f1_score(targets, given, average="macro")
    )


def test_fitted_thresholds_lie_between_the_scores():
    targets = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], dtype=float)
    probabilities = np.array([[0.3, 0.9], [0.2, 0.8], [0.1, 0.7], [0.05, 0.6]])
    fitted = fit_thresholds(targets, probabilities, names=["rare", "absent"])
    assert fitted.of_label == {"rare": 0.15}  # half way between 0.2 and 0.1; a label without positives has no own
    assert fitted.of(["rare", "absent"]).tolist() == [0.15, 0.5]


def test_no_threshold_is_better_than_the_fitted_one():
    rng = np.random.default_rng(1)
    probabilities = rng.random((200, 3)).round(2)
    targets = (rng.random((200, 3)) < probabilities**2).astype(float)
    fitted = fit_thresholds(targets, probabilities, names=["a", "b", "c"])
    best = counted(targets, probabilities, fitted.of(["a", "b", "c"]))
    for threshold in np.arange(0.02, 0.98, 0.005):
        other = counted(targets, probabilities, np.full(3, threshold))
        for column in range(3):
            assert micro_f1(best[column : column + 1]) >= micro_f1(other[column : column + 1]) - 1e-12


def test_unknown_targets_do_not_move_a_threshold():
    targets, probabilities = np.array([[1.0], [0.0], [UNKNOWN]]), np.array([[0.8], [0.2], [0.5]])
    assert fit_thresholds(targets, probabilities, names=["a"]).of_label == {"a": 0.5}


def test_scores_of_zero_keep_the_default():
    assert fit_thresholds(np.ones((3, 1)), np.zeros((3, 1)), names=["a"]).of_label == {"a": 0.5}


def test_a_threshold_outside_of_0_to_1_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1, got 1.5"):
        Thresholds(1.5)
    with pytest.raises(ValueError, match="one shape"):
        label_counts(np.zeros((2, 2)), np.zeros((2, 3)), thresholds=np.full(2, 0.5))
