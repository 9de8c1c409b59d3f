import numpy as np
import pytest
from transformers import EvalPrediction

from microemo.evaluation.metrics.trainer_metrics import HeadMetrics, expression_metrics, multi_label_metrics

YES, NO = 4.0, -4.0  # logits


def test_multi_label_metrics_by_hand():
    # class 0: truth y n y, given y y y; class 1: truth y, given n; class 2: no yes among the known.
    logits = np.array([[[YES, NO, NO], [YES, YES, NO]], [[YES, YES, NO], [YES, YES, YES]]])
    labels = np.array([[[1, 1, 0], [0, -100, 0]], [[1, -100, 0], [-100, np.nan, -100]]])
    metrics = multi_label_metrics(logits, labels)
    f1_first = 2 * (2 / 3 * 1) / (2 / 3 + 1)
    assert metrics["macro_f1"] == pytest.approx((f1_first + 0) / 2)
    assert metrics["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))  # 2 right, 1 false, 1 missed
    assert metrics["mean_average_precision"] == pytest.approx((2 / 3 + 1) / 2)


def test_padding_of_the_trainer_changes_nothing():
    logits, labels = np.array([[[YES, NO]]]), np.array([[[1.0, 0.0]]])
    padded = [np.concatenate([array, np.full((1, 3, 2), -100.0)], axis=1) for array in (logits, labels)]
    assert multi_label_metrics(*padded) == multi_label_metrics(logits, labels)


def test_unknown_labels_alone_give_no_metrics():
    assert multi_label_metrics(np.zeros((1, 2)), np.full((1, 2), -100.0)) == {}
    assert expression_metrics(np.zeros((1, 4, 3)), np.full((1, 4), -100)) == {}


def test_calibration_is_that_of_the_probabilities():
    metrics = multi_label_metrics(np.array([[0.0], [0.0]]), np.array([[1.0], [0.0]]))
    assert metrics["calibration_error"] == pytest.approx(0)


def test_all_heads_are_scored_by_name():
    compute_metrics = HeadMetrics(
        output_names=("emotion_logits", "valence_arousal", "micro_logits", "expression_logits", "action_unit_logits"),
        label_names=(
            "labels",
            "emotion_labels",
            "valence_arousal_labels",
            "micro_labels",
            "expression_labels",
            "action_unit_labels",
        ),
    )
    outputs = (
        np.array([[[YES, NO]], [[NO, YES]]]),
        np.array([[[0.5, 0.0]], [[-0.5, 1.0]]]),
        np.array([[YES, NO, NO], [NO, YES, NO]]),
        np.array([[[YES, NO], [NO, YES], [NO, YES]]] * 2),
        np.array([[[YES], [NO], [NO]]] * 2),
    )
    labels = (
        np.full((2, 5), -100),
        np.array([[[1.0, 0.0]], [[0.0, 1.0]]]),
        np.array([[[0.5, 0.0]], [[-0.5, 1.0]]]),
        np.array([[1.0, 0.0, -100.0], [0.0, 1.0, -100.0]]),
        np.array([[0, 1, 0], [0, 1, -100]]),
        np.array([[[1.0], [0.0], [0.0]]] * 2),
    )
    metrics = compute_metrics(EvalPrediction(predictions=outputs, label_ids=labels))
    assert metrics["emotion_macro_f1"] == metrics["micro_micro_f1"] == metrics["action_unit_macro_f1"] == 1
    assert metrics["valence_ccc"] == pytest.approx(1)
    assert metrics["arousal_rmse"] == 0
    assert metrics["expression_war"] == pytest.approx(4 / 5)
    assert metrics["expression_uar"] == pytest.approx((2 / 3 + 1) / 2)
    assert all(isinstance(value, float) for value in metrics.values())


def test_outputs_may_come_as_a_mapping():
    compute_metrics = HeadMetrics(output_names=(), label_names=("emotion_labels",))
    evaluated = EvalPrediction(
        predictions={"emotion_logits": np.array([[[YES]]]), "loss": np.zeros(1)}, label_ids=np.array([[[1.0]]])
    )
    assert compute_metrics(evaluated)["emotion_macro_f1"] == 1


def test_wrong_names_are_refused():
    evaluated = EvalPrediction(predictions=np.zeros((1, 1, 1)), label_ids=np.ones((1, 1, 1)))
    with pytest.raises(ValueError, match="output_names"):
        HeadMetrics(output_names=("a", "b"), label_names=("emotion_labels",))(evaluated)
    with pytest.raises(ValueError, match="emotion_logits for emotion_labels"):
        HeadMetrics(output_names=("logits",), label_names=("emotion_labels",))(evaluated)
    with pytest.raises(ValueError, match="threshold"):
        HeadMetrics(output_names=(), label_names=(), threshold=1.0)
