"""Scores prediction files of one or more models against reference labels."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from microemo.data.default_wheel import FAMILY, default_wheels
from microemo.evaluation.clip_labels import ClipLabels, read_clip_labels
from microemo.evaluation.figures import Figure, Matching, Pairs, figures_of
from microemo.evaluation.metrics.bootstrap import bootstrap_estimate
from microemo.evaluation.metrics.label_matching import (
    embedding_grouping,
    file_grouping,
    read_stored_groups,
    word_vector_embedder,
)
from microemo.evaluation.metrics.open_vocabulary import Grouping, exact_grouping
from microemo.evaluation.metrics.wheel_files import read_official_wheels
from microemo.evaluation.metrics.wheel_metrics import wheel_grouping
from microemo.evaluation.score_table import FAMILIES, Family, ModelScores, Score, ScoreTable

Missing = Literal["error", "empty"]


@dataclass(frozen=True)
class Interval:
    """Settings of the bootstrap; see `bootstrap_estimate`."""

    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.confidence:.0%} bootstrap, {self.resamples} resamples, seed {self.seed}"


def evaluate_predictions(
    references: Mapping[str, ClipLabels],
    predictions: Mapping[str, ClipLabels],
    *,
    model: str,
    matching: Matching,
    families: Sequence[Family] | None = None,
    missing: Missing = "error",
    interval: Interval = Interval(),  # noqa: B008  frozen
) -> ModelScores:
    """Returns the scores of one model.

    Args:
        references: clip name -> reference labels.
        predictions: clip name -> predicted labels; clips without a reference are ignored.
        model: name of the model.
        matching: how labels are compared.
        families: families of figures; None: all that references and predictions allow, except wheel-columns.
        missing: whether a reference clip without prediction is an error or counts as an empty prediction.
        interval: settings of the confidence intervals.
    """
    pairs = _pair(references, predictions, missing=missing)
    selected = [family for family in FAMILIES if family != "wheel-columns"] if families is None else families
    figures: list[Figure] = []
    for family in selected:
        family_figures = figures_of(pairs, family=family, matching=matching)
        if families is not None and not family_figures:
            raise ValueError(
                f"families: {family!r} needs labels that references or predictions of {model} do not hold"
            )
        figures += family_figures
    if not figures:
        raise ValueError(f"references and predictions of {model} must hold labels of one kind")
    return ModelScores(model=model, scores=[score_of(figure, interval=interval) for figure in figures])


def evaluate_files(arguments: argparse.Namespace) -> ScoreTable:
    """Returns the score table for the arguments of `microemo evaluate` on files."""
    families = label_families(arguments.metrics)
    references = read_clip_labels(arguments.references)
    files = prediction_files(arguments.predictions)
    if arguments.stored_groups and len(files) > 1:
        raise ValueError(f"--stored-groups holds the groups of one model, got {len(files)} prediction files")
    matching = matching_of(arguments)
    interval = interval_of(arguments)
    models = [
        evaluate_predictions(
            references,
            read_clip_labels(path),
            model=name,
            matching=matching,
            families=families,
            missing=arguments.missing,
            interval=interval,
        )
        for name, path in files
    ]
    settings = {
        "microemo": version("microemo"),
        "references": file_identity(arguments.references, clips=len(references)),
        **{f"predictions of {name}": file_identity(path) for name, path in files},
        "wheels": matching.wheels.name,
        "grouping": "stored groups" if arguments.stored_groups else arguments.grouping,
        "clips without prediction": arguments.missing,
        "intervals": str(interval),
    }
    return ScoreTable(models=models, settings=settings)


def label_families(names: Sequence[str] | None) -> list[Family] | None:
    """Returns the selected families of figures; raises `ValueError` for those that need a model's reports."""
    unknown = [name for name in names or () if name not in FAMILIES]
    if unknown:
        raise ValueError(
            f"--metrics {', '.join(unknown)} need a model's reports: use --dataset instead of label files"
        )
    return None if names is None else [family for family in FAMILIES if family in names]


def interval_of(arguments: argparse.Namespace) -> Interval:
    """Returns the bootstrap settings from the command's arguments."""
    return Interval(confidence=arguments.confidence, resamples=arguments.resamples, seed=arguments.seed)


def matching_of(arguments: argparse.Namespace) -> Matching:
    """Returns the label matching from the command's arguments."""
    wheels = read_official_wheels(arguments.wheels) if arguments.wheels else default_wheels()
    kind, _, path = arguments.grouping.partition(":")
    grouping: Grouping
    if kind == "exact" and not path:
        grouping = exact_grouping
    elif kind == "wheel" and not path:
        grouping = wheel_grouping(wheels, rule=FAMILY)
    elif kind == "groups" and path:
        grouping = file_grouping(path)
    elif kind == "vectors" and path:
        grouping = embedding_grouping(word_vector_embedder(path), threshold=arguments.similarity)
    else:
        raise ValueError(f"--grouping ({arguments.grouping}) must be exact, wheel, groups:FILE or vectors:FILE")
    stored = read_stored_groups(arguments.stored_groups) if arguments.stored_groups else None
    return Matching(wheels=wheels, grouping=grouping, stored_groups=stored)


def prediction_files(items: Sequence[str]) -> list[tuple[str, Path]]:
    """Returns model name and path of each "MODEL=FILE" or "FILE"; raises `ValueError` for one name twice."""
    files = [_named_file(item) for item in items]
    names = [name for name, _ in files]
    if len(set(names)) < len(names):
        raise ValueError(f"--predictions must have different model names (MODEL=FILE), got {names}")
    return files


def _named_file(item: str) -> tuple[str, Path]:
    name, separator, path = item.partition("=")
    return (name, Path(path)) if separator and name else (Path(item).stem.removesuffix("-openset"), Path(item))


def file_identity(path: Path, *, clips: int | None = None) -> str:
    """Returns a file's name with the beginning of its hash, as tables state what they were made of."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return f"{path.name} (sha256 {digest}{f', {clips} clips' if clips is not None else ''})"


def _pair(references: Mapping[str, ClipLabels], predictions: Mapping[str, ClipLabels], *, missing: Missing) -> Pairs:
    if missing not in ("error", "empty"):
        raise ValueError(f"missing ({missing!r}) must be 'error' or 'empty'")
    absent = [name for name in references if name not in predictions]
    if absent and missing == "error":
        raise ValueError(
            f"predictions must hold every reference clip; {len(absent)} of {len(references)} are missing, "
            f"first {absent[0]!r} (missing='empty' counts them as predicted without labels)"
        )
    pairs = [(clip, predictions.get(name, ClipLabels(name=name))) for name, clip in references.items()]
    with_labels = any(got.labels is not None for _, got in pairs)
    with_sentiment = any(got.sentiment is not None for _, got in pairs)
    return [(ref, _fill_missing(got, with_labels=with_labels, with_sentiment=with_sentiment)) for ref, got in pairs]


def _fill_missing(prediction: ClipLabels, *, with_labels: bool, with_sentiment: bool) -> ClipLabels:
    """Sets missing fields that other predictions have to empty values, so that the clip counts as a mistake."""
    labels = () if with_labels and prediction.labels is None else prediction.labels
    sentiment = "" if with_sentiment and prediction.sentiment is None else prediction.sentiment
    return replace(prediction, labels=labels, sentiment=sentiment)


def score_of(figure: Figure, *, interval: Interval) -> Score:
    """Returns a figure with its confidence interval."""
    estimate = bootstrap_estimate(
        figure.statistic,
        clips=figure.clips,
        confidence=interval.confidence,
        resamples=interval.resamples,
        seed=interval.seed,
    )
    return Score(name=figure.name, estimate=estimate, clips=figure.clips, percent=figure.percent)
