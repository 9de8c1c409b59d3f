"""Figures of answers to the questions that a data set brings itself: of every task, and the mean over tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from microemo.data.example import Example, Turn
from microemo.evaluation.clip_labels import ClipLabels
from microemo.evaluation.figures import Figure, Matching, figures_of
from microemo.evaluation.metrics.closed_answers import chosen_option


@dataclass(frozen=True)
class Answer:
    """A question of a data set and what a model answered."""

    name: str
    turn: Turn
    text: str

    @property
    def labels(self) -> tuple[ClipLabels, ClipLabels]:
        """The right option and the one that the answer chooses."""
        chosen = chosen_option(self.text, options=self.turn.options)
        return ClipLabels(self.name, emotion=self.turn.answer), ClipLabels(self.name, emotion=chosen)


def scored_questions(examples: Sequence[Example]) -> dict[str, Turn]:
    """Name -> question of the examples whose answer can be scored; raises `ValueError` where there is none.

    Captions and other free answers are left out.
    """
    questions = {entry.example_id: entry.turn for entry in examples if entry.turn is not None and entry.turn.options}
    if not questions:
        raise ValueError(
            f"--mode answers needs examples that bring a question with options; none of {len(examples)} does "
            "(merr takes tasks=emotion)"
        )
    return questions


def answers_of(questions: Mapping[str, Turn], texts: Mapping[str, str], *, missing: str) -> list[Answer]:
    """The answers to the questions, in their order.

    Args:
        texts: name of the question -> answer.
        missing: a question without answer is an "error", or counts as wrong ("empty").
    """
    absent = [name for name in questions if name not in texts]
    if absent and missing == "error":
        raise ValueError(
            f"predictions must answer every question; {len(absent)} of {len(questions)} are missing, first "
            f"{absent[0]!r} (--missing empty counts them as wrong)"
        )
    return [Answer(name, turn, texts.get(name, "")) for name, turn in questions.items()]


def answer_figures(answers: Sequence[Answer], *, matching: Matching) -> list[Figure]:
    """Closed-set figures of every task, the share of answers that choose no option, and the mean over the tasks."""
    tasks: dict[str, list[Answer]] = {}
    for answer in answers:
        tasks.setdefault(answer.turn.task, []).append(answer)
    figures = []
    for task, own in tasks.items():
        pairs = [answer.labels for answer in own]
        # One that chooses nothing is a class of its own, so a mistake.
        readable = [(ref, replace(got, emotion=got.emotion or "")) for ref, got in pairs]
        closed = figures_of(readable, family="closed-set", matching=matching)
        unread = np.array([got.emotion is None for _, got in pairs])
        closed.append(Figure("answers without a choice", len(own), partial(_share, unread)))
        prefix = f"{task}: " if task else ""
        figures += [replace(figure, name=f"{prefix}{figure.name}") for figure in closed]
    if len(tasks) > 1:
        figures.append(_mean_over_tasks(answers))
    return figures


def _share(values: np.ndarray, chosen: np.ndarray) -> float:
    return float(values[chosen].mean())


def _mean_over_tasks(answers: Sequence[Answer]) -> Figure:
    """The mean of the tasks' accuracies; a task that a resample leaves out is not in its mean."""
    right = np.array([ref.emotion == got.emotion for ref, got in (answer.labels for answer in answers)])
    names = sorted({answer.turn.task for answer in answers})
    codes = np.array([names.index(answer.turn.task) for answer in answers])

    def statistic(chosen: np.ndarray) -> float:
        counts = np.bincount(codes[chosen], minlength=len(names))
        hits = np.bincount(codes[chosen], weights=right[chosen], minlength=len(names))
        return float(np.mean(hits[counts > 0] / counts[counts > 0]))

    return Figure(f"mean accuracy of {len(names)} tasks", len(answers), statistic)
