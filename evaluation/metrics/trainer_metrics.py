"""`compute_metrics` for `transformers.Trainer`: scores of MicroEmo's heads during training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import EvalPrediction

from microemo.evaluation.metrics.calibration import expected_calibration_error
from microemo.evaluation.metrics.classification import closed_set_scores
from microemo.evaluation.metrics.valence_arousal import concordance, root_mean_squared_error

try:
    from sklearn.metrics import average_precision_score, f1_score
except ImportError:
    average_precision_score = f1_score = None

UNKNOWN = -100  # padding of labels

# Label of the batch -> output of the model to compare with.
OUTPUT_OF_LABEL = {
    "emotion_labels": "emotion_logits",
    "valence_arousal_labels": "valence_arousal",
    "micro_labels": "micro_logits",
    "expression_labels": "expression_logits",
    "action_unit_labels": "action_unit_logits",
}


@dataclass(frozen=True)
class HeadMetrics:
    """Callable for `Trainer(compute_metrics=...)`. It scores every label in the evaluation batches.

        Trainer(..., compute_metrics=HeadMetrics(output_names=("emotion_logits",), label_names=("emotion_labels",)))

    Args:
        output_names: names of the entries of `predictions`, in order; not used if they are a mapping.
        label_names: names of the entries of `label_ids`, in order (the trainer's `args.label_names`).
        threshold: probability from which an emotion, action unit or micro-expression counts as predicted.
    """

    output_names: Sequence[str]
    label_names: Sequence[str]
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold ({self.threshold}) must be between 0 and 1")

    def __call__(self, evaluated: EvalPrediction) -> dict[str, float]:
        """Returns metric -> value; see the functions of this module for the names."""
        outputs = _named(evaluated.predictions, self.output_names, argument="output_names")
        labels = _named(evaluated.label_ids, self.label_names, argument="label_names")
        metrics: dict[str, float] = {}
        for name, output_name in OUTPUT_OF_LABEL.items():
            if name not in labels:
                continue
            if output_name not in outputs:
                raise ValueError(f"predictions must hold {output_name} for {name}, got {sorted(outputs)}")
            metrics |= self._score(name, outputs[output_name], labels[name])
        return metrics

    def _score(self, name: str, output: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        if name == "valence_arousal_labels":
            return valence_arousal_metrics(output, labels)
        if name == "expression_labels":
            return expression_metrics(output, labels)
        prefix = {"emotion_labels": "emotion", "micro_labels": "micro", "action_unit_labels": "action_unit"}[name]
        if name == "micro_labels":
            output, labels = output[..., None], labels[..., None]
        return {
            f"{prefix}_{key}": value
            for key, value in multi_label_metrics(output, labels, threshold=self.threshold).items()
        }


def multi_label_metrics(logits: np.ndarray, labels: np.ndarray, *, threshold: float = 0.5) -> dict[str, float]:
    """Returns micro_f1, macro_f1, mean_average_precision and calibration_error of independent binary classes.

    The macro figures are means over the classes with a positive among the known labels; NaN without any.

    Args:
        logits: (..., classes).
        labels: (..., classes), positive from 0.5 on; -100 and NaN are unknown.
        threshold: probability from which a class counts as predicted.
    """
    _require_sklearn()
    classes = logits.shape[-1]
    logits, labels = logits.reshape(-1, classes).astype(np.float64), labels.reshape(-1, classes).astype(np.float64)
    known = (labels != UNKNOWN) & ~np.isnan(labels)
    if not known.any():
        return {}
    probabilities, truths = 1 / (1 + np.exp(-np.clip(logits, -500, 500))), labels >= 0.5
    given = probabilities >= threshold
    columns = [(truths[k, c], given[k, c], probabilities[k, c]) for c in range(classes) if (k := known[:, c]).any()]
    with_positive = [column for column in columns if column[0].any()]
    return {
        "micro_f1": float(f1_score(truths[known], given[known], zero_division=0)),
        "macro_f1": _mean([f1_score(truth, got, zero_division=0) for truth, got, _ in with_positive]),
        "mean_average_precision": _mean([average_precision_score(truth, p) for truth, _, p in with_positive]),
        "calibration_error": expected_calibration_error(probabilities[known].tolist(), truths[known].tolist()),
    }


def expression_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns expression_war, expression_uar and expression_macro_f1 of logits (..., classes) and labels (...)."""
    known = labels.reshape(-1) != UNKNOWN
    if not known.any():
        return {}
    given = logits.reshape(-1, logits.shape[-1]).argmax(axis=-1)[known]
    scores = closed_set_scores(labels.reshape(-1)[known].tolist(), given.tolist())
    return {
        "expression_war": scores.war,
        "expression_uar": scores.uar,
        "expression_macro_f1": scores.macro_f1,
    }


def valence_arousal_metrics(output: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns valence_ccc, valence_rmse, arousal_ccc and arousal_rmse of (..., 2) values."""
    metrics = {}
    for column, name in enumerate(("valence", "arousal")):
        expected, given = labels[..., column].reshape(-1), output[..., column].reshape(-1)
        known = (expected != UNKNOWN) & ~np.isnan(expected)
        if known.any():
            metrics[f"{name}_ccc"] = concordance(expected[known].tolist(), given[known].tolist())
            metrics[f"{name}_rmse"] = root_mean_squared_error(expected[known].tolist(), given[known].tolist())
    return metrics


def _named(values: Any, names: Sequence[str], *, argument: str) -> dict[str, np.ndarray]:
    """Returns name -> array from the arrays gathered by the trainer: a mapping, a tuple or a single array."""
    if isinstance(values, Mapping):
        return dict(values)
    entries = values if isinstance(values, tuple | list) else (values,)
    if len(entries) != len(names):
        raise ValueError(f"{argument} ({list(names)}) must name the {len(entries)} arrays that the trainer gathered")
    return dict(zip(names, entries, strict=True))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _require_sklearn() -> None:
    if f1_score is None:
        raise ImportError("these metrics need scikit-learn: pip install microemo[eval]")
