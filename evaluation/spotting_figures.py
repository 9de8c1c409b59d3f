"""Figures of micro-expression spotting: events in reports against the reference timelines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from microemo.evaluation.figures import Figure
from microemo.evaluation.metrics.open_vocabulary import harmonic_mean
from microemo.evaluation.metrics.spotting import ExpressionInterval, Match, match_intervals, recognition_scores
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.evaluation.scored_utterances import true_events
from microemo.inference.report.report import EmotionReport

RIGHT, TRUE, SPOTTED = range(3)  # columns of the counts


def spotting_figures(clips: Sequence[EvaluatedClip]) -> list[Figure]:
    """Returns F1 at IoU 0.5, errors in ms and STRS over the clips with a timeline; none if spotting is not trained.

    The class of a micro-expression is its expression in the report.
    """
    rows = [number for number, clip in enumerate(clips) if clip.example.timeline is not None]
    if not rows:
        return []
    status = clips[rows[0]].report.status
    if status.micro_expressions != "trained":
        return []
    truths = [true_intervals(clips[row]) for row in rows]
    spotted = [spotted_intervals(clips[row].report) for row in rows]
    matches = [match_intervals(*pair) for pair in zip(truths, spotted, strict=True)]
    counts = np.zeros((len(clips), 3))
    matches_of: list[list[Match]] = [[] for _ in clips]
    for row, true, predicted, clip_matches in zip(rows, truths, spotted, matches, strict=True):
        counts[row] = len(clip_matches), len(true), len(predicted)
        matches_of[row] = clip_matches
    classes = sorted({str(interval.label) for video in truths for interval in video})

    def figure(name: str, value: Callable[[np.ndarray], float], *, percent: bool = True) -> Figure:
        return Figure(name, len(clips), value, percent=percent)

    def recognition(chosen: np.ndarray) -> float:
        return recognition_scores([match for row in chosen for match in matches_of[row]], classes=classes).f1

    figures = [
        figure("Spotting F1 (IoU 0.5)", lambda chosen: _f1(counts[chosen])),
        figure("Spotting precision", lambda chosen: _ratio(counts[chosen], RIGHT, SPOTTED)),
        figure("Spotting recall", lambda chosen: _ratio(counts[chosen], RIGHT, TRUE)),
        *(
            figure(f"{point.capitalize()} error (ms)", _mean_error(matches_of, point=point), percent=False)
            for point in ("onset", "apex", "offset")
        ),
    ]
    if status.face_expressions == "trained":
        figures.append(figure("Recognition F1 of the spotted", recognition))
        figures.append(figure("STRS", lambda chosen: _f1(counts[chosen]) * recognition(chosen)))
    return figures


def true_intervals(clip: EvaluatedClip) -> list[ExpressionInterval]:
    """Returns the reference micro-expressions, in seconds."""
    return [
        ExpressionInterval(event.onset_seconds, event.offset_seconds, apex=event.apex_seconds, label=event.emotion)
        for event in true_events(clip, kind="micro")
    ]


def spotted_intervals(report: EmotionReport) -> list[ExpressionInterval]:
    """Returns the micro-expressions in a report, in seconds."""
    return [
        ExpressionInterval(event.onset_seconds, event.offset_seconds, apex=event.apex_seconds, label=event.expression)
        for event in report.summary.micro_expressions or ()
    ]


def _mean_error(matches_of: Sequence[Sequence[Match]], *, point: str) -> Callable[[np.ndarray], float]:
    """Mean absolute error in ms of onset, apex or offset over the matches of the chosen clips; NaN without matches."""
    sums, counts = np.zeros(len(matches_of)), np.zeros(len(matches_of))
    for row, matches in enumerate(matches_of):
        for match in matches:
            sums[row] += 1000 * abs(getattr(match.prediction, point) - getattr(match.reference, point))
            counts[row] += 1

    def mean(chosen: np.ndarray) -> float:
        count = counts[chosen].sum()
        return float(sums[chosen].sum() / count) if count else float("nan")

    return mean


def _f1(counts: np.ndarray) -> float:
    return harmonic_mean(_ratio(counts, RIGHT, SPOTTED), _ratio(counts, RIGHT, TRUE))


def _ratio(counts: np.ndarray, part: int, whole: int) -> float:
    """counts: (clips, 3)."""
    total = counts[:, whole].sum()
    return float(counts[:, part].sum() / total) if total else 0.0
