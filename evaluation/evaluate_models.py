"""Scores models, optionally with ablations, on a data set: `microemo evaluate --model ... --dataset ...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from microemo.data.example import Example
from microemo.evaluation.ablation import ABLATIONS, FULL, Ablation
from microemo.evaluation.dataset_choice import DatasetChoice
from microemo.evaluation.evaluate import Interval, interval_of, matching_of, score_of
from microemo.evaluation.figures import Figure, Matching
from microemo.evaluation.metrics.multi_label import Thresholds, fit_thresholds
from microemo.evaluation.model_runs import RunSettings, evaluate_examples, model_fingerprint
from microemo.evaluation.prediction_store import EvaluatedClip, PredictionStore
from microemo.evaluation.report_figures import report_figures
from microemo.evaluation.score_table import REPORT_FAMILIES, ModelScores, ReportFamily, ScoreTable
from microemo.evaluation.scored_utterances import emotion_arrays, emotion_names, scored_utterances
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.stage_timer import Progress
from microemo.processing.reading_settings import ReadingSettings

OPT_IN_FAMILIES = ("set", "wheel", "wheel-columns", "hit")  # redundant with other families
MINI = "microemo-mini"
PREDICTIONS_SUFFIX = ".predictions.jsonl"


@dataclass(frozen=True)
class NamedModel:
    """A model of the table. source: a folder or Hub id; None: the model included in the package."""

    name: str
    source: str | None

    @classmethod
    def parse(cls, text: str) -> NamedModel:
        """Parses "NAME=FOLDER_OR_ID" or "FOLDER_OR_ID"."""
        name, separator, source = text.partition("=")
        if separator and name and source:
            return cls(name, None if source == MINI else source)
        return cls(MINI, None) if text == MINI else cls(Path(text).name or text, text)


@dataclass(frozen=True)
class Measurement:
    """Figures to compute and the examples to compute them on.

    families: None: all that examples and reports allow. thresholds: fixed, or the examples to fit them on.
    """

    examples: Sequence[Example]
    settings: RunSettings
    ablations: Sequence[Ablation]
    families: Sequence[ReportFamily] | None
    matching: Matching
    thresholds: Thresholds | Sequence[Example]
    interval: Interval


@dataclass(frozen=True)
class Column:
    """One column of the table: a model with an ablation."""

    name: str
    figures: Sequence[Figure]


def named_models(texts: Sequence[str] | None) -> list[NamedModel]:
    """The models that --model names, microemo-mini where it is absent; raises `ValueError` for one name twice."""
    models = [NamedModel.parse(text) for text in texts or [MINI]]
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise ValueError(f"--model must give different names (NAME=FOLDER_OR_ID), got {names}")
    return models


def evaluate_models(arguments: argparse.Namespace, *, progress: Progress | None = None) -> ScoreTable:
    """Returns the table that the arguments of `microemo evaluate` ask for."""
    models = named_models(arguments.model)
    dataset = DatasetChoice.parse(arguments.dataset, take=arguments.take)
    measurement = measurement_of(arguments, dataset=dataset)
    store = PredictionStore(predictions_path(arguments.output))
    models_scores: list[ModelScores] = []
    differences: list[ModelScores] = []
    about: dict[str, object] = {}
    for model in models:
        analyzer = EmotionAnalyzer.from_pretrained(
            model.source, device=arguments.device, dtype=arguments.dtype, progress=progress
        )
        columns, thresholds = measure(
            analyzer, measurement, name=model.name, only=len(models) == 1, store=store, progress=progress
        )
        models_scores += [_scores(column, interval=measurement.interval) for column in columns]
        differences += [_differences(column, columns[0], interval=measurement.interval) for column in columns[1:]]
        about |= _about(analyzer, name=model.name, thresholds=thresholds)
    settings = {
        "microemo": version("microemo"),
        "dataset": f"{dataset} ({len(measurement.examples)} examples)",
        **about,
        **_settings(arguments, measurement),
    }
    return ScoreTable(models_scores, settings, differences=differences, baseline=measurement.ablations[0].name)


def measurement_of(arguments: argparse.Namespace, *, dataset: DatasetChoice) -> Measurement:
    """Returns the measurement from the command's arguments; raises `ValueError` before a model is loaded."""
    if "explanations" in (arguments.metrics or ()) and arguments.mode != "explain":
        raise ValueError("--metrics explanations needs --mode explain")
    unknown = [name for name in arguments.ablation if name not in ABLATIONS]
    if unknown or len(set(arguments.ablation)) < len(arguments.ablation):
        raise ValueError(
            f"--ablation ({','.join(arguments.ablation)}) must be distinct names out of {', '.join(ABLATIONS)}"
        )
    settings = RunSettings(
        mode=arguments.mode, reading=reading_changes(arguments.reading), clip_cache=arguments.clip_cache
    )
    return Measurement(
        examples=dataset.examples(),
        settings=settings,
        ablations=[ABLATIONS[name] for name in arguments.ablation],
        families=arguments.metrics,
        matching=matching_of(arguments),
        thresholds=_threshold(arguments.threshold),
        interval=interval_of(arguments),
    )


def measure(
    analyzer: EmotionAnalyzer,
    measurement: Measurement,
    *,
    name: str = MINI,
    only: bool = True,
    store: PredictionStore | None = None,
    progress: Progress | None = None,
) -> tuple[list[Column], Thresholds]:
    """Returns the columns of one model, one for each ablation, and the thresholds used.

    Args:
        name: name of the model.
        only: whether the table has no other model, so that column titles need no model name.
        store: see `evaluate_examples`.
        progress: called with (stage, done, total).
    """
    thresholds = measurement.thresholds
    if not isinstance(thresholds, Thresholds):
        settings = replace(measurement.settings, mode="scores")
        reports = evaluate_examples(
            analyzer, thresholds, settings=settings, store=store, progress=_with_stage(progress, "thresholds")
        )
        thresholds = thresholds_of(reports[FULL.name])
    reports = evaluate_examples(
        analyzer,
        measurement.examples,
        settings=measurement.settings,
        ablations=measurement.ablations,
        store=store,
        progress=progress,
    )
    single = len(measurement.ablations) == 1
    columns = []
    for ablation, clips in reports.items():
        title = name if single else ablation if only else f"{name}, {ablation}"
        columns.append(Column(title, column_figures(clips, measurement=measurement, thresholds=thresholds)))
    return columns, thresholds


def thresholds_of(clips: Sequence[EvaluatedClip]) -> Thresholds:
    """Returns the threshold of each label with the highest F1 on these clips, which must not be test clips."""
    parts = scored_utterances(clips)
    names = emotion_names(parts)
    if not names:
        raise ValueError("--threshold fit: needs a model with a trained emotion head and examples with labels")
    targets, probabilities = emotion_arrays(parts, names=names)
    return fit_thresholds(targets, probabilities, names=names)


def column_figures(
    clips: Sequence[EvaluatedClip], *, measurement: Measurement, thresholds: Thresholds
) -> list[Figure]:
    """Returns the figures of the selected families, or of all available ones."""
    default = [family for family in REPORT_FAMILIES if family not in OPT_IN_FAMILIES]
    figures = [
        figure
        for family in measurement.families or default
        for figure in report_figures(clips, family=family, matching=measurement.matching, thresholds=thresholds)
    ]
    if measurement.families is not None and not figures:
        raise ValueError(
            f"--metrics ({', '.join(measurement.families)}): neither examples nor reports hold what they need"
        )
    return figures


def reading_changes(changes: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """Parses "face_fps=30", ... to names and values; raises `ValueError` for names not in `ReadingSettings`."""
    defaults = ReadingSettings()
    kinds: dict[str, type] = {entry.name: type(getattr(defaults, entry.name)) for entry in fields(ReadingSettings)}
    settings = []
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator or kinds.get(name) not in (int, float):
            numbers = [name for name, kind in kinds.items() if kind in (int, float)]
            raise ValueError(f"--reading ({change}) must be NAME=NUMBER with a name of {', '.join(numbers)}")
        settings.append((name, kinds[name](value)))
    return tuple(settings)


def _threshold(text: str) -> Thresholds | tuple[Example, ...]:
    if text.startswith("fit:"):
        return DatasetChoice.parse(text.removeprefix("fit:")).examples()
    try:
        return Thresholds(float(text))
    except ValueError as error:
        raise ValueError(f"--threshold ({text}) must be a number between 0 and 1, or fit:READER:PATH...") from error


def predictions_path(outputs: Sequence[Path]) -> Path | None:
    """Returns the path of the predictions, next to the first output table."""
    return outputs[0].with_suffix(PREDICTIONS_SUFFIX) if outputs else None


def _with_stage(progress: Progress | None, stage: str) -> Progress | None:
    return None if progress is None else lambda _, done, total: progress(stage, done, total)


def _scores(column: Column, *, interval: Interval) -> ModelScores:
    return ModelScores(column.name, [score_of(figure, interval=interval) for figure in column.figures])


def _differences(column: Column, baseline: Column, *, interval: Interval) -> ModelScores:
    """Returns each figure minus that of the baseline, with the same clips in every resample."""
    others = {figure.name: figure for figure in baseline.figures}
    pairs = [(figure, others[figure.name]) for figure in column.figures if figure.name in others]
    return ModelScores(column.name, [score_of(_difference(*pair), interval=interval) for pair in pairs])


def _difference(figure: Figure, baseline: Figure) -> Figure:
    if figure.clips != baseline.clips:
        raise ValueError(f"{figure.name} is over {figure.clips} clips and over {baseline.clips} in the baseline")
    return Figure(
        figure.name,
        figure.clips,
        lambda chosen: figure.statistic(chosen) - baseline.statistic(chosen),
        percent=figure.percent,
    )


def _about(analyzer: EmotionAnalyzer, *, name: str, thresholds: Thresholds) -> dict[str, object]:
    """Returns the settings of one model."""
    parts = ", ".join(analyzer.model.config.trained_parts) or "nothing"
    dtype = str(analyzer.model.dtype).removeprefix("torch.")
    about: dict[str, object] = {
        f"model {name}": f"weights and config {model_fingerprint(analyzer)[:12]}, {dtype} on {analyzer.model.device}, "
        f"trained: {parts}"
    }
    if thresholds.of_label:
        about[f"thresholds of {name}"] = ", ".join(
            f"{label} {value:g}" for label, value in thresholds.of_label.items()
        )
    return about


def _settings(arguments: argparse.Namespace, measurement: Measurement) -> dict[str, object]:
    """Returns the settings shared by all columns."""
    words = (
        "the explanations" if measurement.settings.mode == "explain" else "the emotion head, from its thresholds on"
    )
    return {
        "mode": measurement.settings.mode,
        "reading": ", ".join(arguments.reading) or "as the model's own",
        "emotion counts as given from": arguments.threshold,
        "open-vocabulary labels": words,
        "wheels": measurement.matching.wheels.name,
        "intervals": f"{measurement.interval}, clips drawn",
    }
