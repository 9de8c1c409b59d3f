"""Unweighted average recall (UAR) of expressions with a confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microemo.data.still_faces import EXPRESSIONS

# Fear and contempt are too rare in the photographs for an estimate; disgust is of only one or two people.
SCORED_EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger")
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class RecallReport:
    """Recall of the scored expressions.

    recall_among_five: with predictions restricted to the scored expressions. recall_among_all: with predictions among
    all eight. confusion (5, 8): rows are true expressions, columns predictions among all eight.
    """

    recall_among_five: float
    interval_among_five: tuple[float, float]
    recall_among_all: float
    recalls: dict[str, float]
    confusion: list[list[int]]

    def table(self) -> str:
        """Returns the report as text for a terminal."""
        header = " " * 10 + "".join(f"{name[:9]:>10}" for name in EXPRESSIONS) + f"{'recall':>10}"
        lines = [header]
        for name, row in zip(SCORED_EXPRESSIONS, self.confusion, strict=True):
            counts = "".join(f"{count:>10}" for count in row)
            lines.append(f"{name:<10}{counts}{self.recalls[name]:>10.3f}")
        low, high = self.interval_among_five
        lines.append(
            f"unweighted average recall among five {self.recall_among_five:.3f} (95 %: {low:.3f} to {high:.3f}), "
            f"among all eight {self.recall_among_all:.3f}"
        )
        return "\n".join(lines)


def recall_report(logits: np.ndarray, *, labels: np.ndarray, identities: np.ndarray, seed: int = 0) -> RecallReport:
    """Scores logits (N, 8) on the faces whose label (N,) is one of the scored expressions.

    The interval is a bootstrap over identities (N,), as images of one person are not independent.
    """
    scored = np.array([EXPRESSIONS.index(name) for name in SCORED_EXPRESSIONS])
    is_scored = np.isin(labels, scored)
    missing = [EXPRESSIONS[label] for label in scored if not np.any(labels == label)]
    if missing:
        raise ValueError(f"labels must hold every scored expression, but {missing} are absent")
    logits, labels, identities = logits[is_scored], labels[is_scored], identities[is_scored]
    among_five = scored[np.argmax(logits[:, scored], axis=1)]
    among_all = np.argmax(logits, axis=1)
    recalls = class_recalls(among_five, labels=labels, classes=scored)
    confusion = [
        [int(np.sum((labels == true) & (among_all == answer))) for answer in range(len(EXPRESSIONS))]
        for true in scored
    ]
    return RecallReport(
        recall_among_five=float(np.mean(recalls)),
        interval_among_five=_interval(among_five == labels, labels=labels, identities=identities, seed=seed),
        recall_among_all=float(np.mean(class_recalls(among_all, labels=labels, classes=scored))),
        recalls={name: float(recall) for name, recall in zip(SCORED_EXPRESSIONS, recalls, strict=True)},
        confusion=confusion,
    )


def mean_recall(logits: np.ndarray, *, labels: np.ndarray) -> float:
    """Returns the UAR over the scored expressions in `labels`, with predictions among the five."""
    scored = np.array([EXPRESSIONS.index(name) for name in SCORED_EXPRESSIONS])
    return float(
        np.nanmean(class_recalls(scored[np.argmax(logits[:, scored], axis=1)], labels=labels, classes=scored))
    )


def class_recalls(answers: np.ndarray, *, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Returns the recall of each class, (classes,); NaN for a class without labels."""
    right = np.array([np.sum((labels == label) & (answers == label)) for label in classes], dtype=np.float64)
    counts = np.array([np.sum(labels == label) for label in classes], dtype=np.float64)
    return np.divide(right, counts, out=np.full(len(classes), np.nan), where=counts > 0)


def _interval(is_right: np.ndarray, *, labels: np.ndarray, identities: np.ndarray, seed: int) -> tuple[float, float]:
    people, person = np.unique(identities, return_inverse=True)
    classes, column = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(people), len(classes)))
    rights = np.zeros_like(counts)
    np.add.at(counts, (person, column), 1)
    np.add.at(rights, (person, column), is_right)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(people), np.full(len(people), 1 / len(people)), size=RESAMPLES)  # (R, people)
    totals = drawn @ counts
    recalls = np.divide(drawn @ rights, totals, out=np.full_like(totals, np.nan), where=totals > 0)
    low, high = np.nanpercentile(np.nanmean(recalls, axis=1), INTERVAL)
    return float(low), float(high)
