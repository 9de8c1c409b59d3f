"""`microemo evaluate --model ... --dataset ...`: several models, whole or with ablations, on one data set."""

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
from microemo.evaluation.labelled_parts import emotion_arrays, emotion_names, labelled_parts
from microemo.evaluation.metrics.multi_label import Thresholds, fit_thresholds
from microemo.evaluation.model_runs import RunSettings, evaluate_examples, model_fingerprint
from microemo.evaluation.prediction_store import EvaluatedClip, PredictionStore
from microemo.evaluation.report_figures import report_figures
from microemo.evaluation.score_table import REPORT_FAMILIES, ModelScores, ReportFamily, ScoreTable
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.stage_timer import Progress
from microemo.processing.reading_settings import ReadingSettings

ASKED_FOR_ONLY = ("set", "wheel", "wheel-columns", "hit")  # families that say again what others say
MINI = "microemo-mini"
PREDICTIONS_SUFFIX = ".predictions.jsonl"


@dataclass(frozen=True)
class NamedModel:
    """A model of the table; `place` is a folder or Hub id, None for the embedded one."""

    name: str
    place: str | None

    @classmethod
    def parse(cls, text: str) -> NamedModel:
        """The model of "NAME=FOLDER_OR_ID" or "FOLDER_OR_ID"."""
        name, separator, place = text.partition("=")
        if separator and name and place:
            return cls(name, None if place == MINI else place)
        return cls(MINI, None) if text == MINI else cls(Path(text).name or text, text)


@dataclass(frozen=True)
class Measurement:
    """What is measured on which examples. families: None for all that examples and reports allow.

    thresholds: fixed, or the examples that they are fitted on.
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
    measured = measurement_of(arguments, dataset=dataset)
    store = PredictionStore(predictions_path(arguments.output))
    models_scores: list[ModelScores] = []
    differences: list[ModelScores] = []
    about: dict[str, object] = {}
    for model in models:
        analyzer = EmotionAnalyzer.from_pretrained(
            model.place, device=arguments.device, dtype=arguments.dtype, progress=progress
        )
        columns, thresholds = measure(
            analyzer, measured, name=model.name, only=len(models) == 1, store=store, progress=progress
        )
        models_scores += [_scores(column, interval=measured.interval) for column in columns]
        differences += [_differences(column, columns[0], interval=measured.interval) for column in columns[1:]]
        about |= _about(analyzer, name=model.name, thresholds=thresholds)
    settings = {
        "microemo": version("microemo"),
        "dataset": f"{dataset} ({len(measured.examples)} examples)",
        **about,
        **_settings(arguments, measured),
    }
    return ScoreTable(models_scores, settings, differences=differences, baseline=measured.ablations[0].name)


def measurement_of(arguments: argparse.Namespace, *, dataset: DatasetChoice) -> Measurement:
    """What the arguments ask for; raises `ValueError` for what cannot be, before a model is loaded."""
    if "explanations" in (arguments.metrics or ()) and arguments.mode != "explain":
        raise ValueError("--metrics explanations needs --mode explain")
    unknown = [name for name in arguments.ablation if name not in ABLATIONS]
    if unknown or len(set(arguments.ablation)) < len(arguments.ablation):
        raise ValueError(
            f"--ablation ({','.join(arguments.ablation)}) must be different ones of {', '.join(ABLATIONS)}"
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
    measured: Measurement,
    *,
    name: str = MINI,
    only: bool = True,
    store: PredictionStore | None = None,
    progress: Progress | None = None,
) -> tuple[list[Column], Thresholds]:
    """The columns of one model, one for each ablation, and the thresholds that were used.

    Args:
        name: of the model.
        only: whether the table has no other model, so that columns need not name it.
        store: see `evaluate_examples`.
        progress: called with (stage, done, total).
    """
    thresholds = measured.thresholds
    if not isinstance(thresholds, Thresholds):
        scored = replace(measured.settings, mode="scores")
        reports = evaluate_examples(
            analyzer, thresholds, settings=scored, store=store, progress=_renamed(progress, "thresholds")
        )
        thresholds = thresholds_of(reports[FULL.name])
    reports = evaluate_examples(
        analyzer,
        measured.examples,
        settings=measured.settings,
        ablations=measured.ablations,
        store=store,
        progress=progress,
    )
    single = len(measured.ablations) == 1
    columns = []
    for ablation, clips in reports.items():
        title = name if single else ablation if only else f"{name}, {ablation}"
        columns.append(Column(title, column_figures(clips, measured=measured, thresholds=thresholds)))
    return columns, thresholds


def thresholds_of(clips: Sequence[EvaluatedClip]) -> Thresholds:
    """The thresholds that give each label its highest F1 on these clips, which must not be those of the test."""
    parts = labelled_parts(clips)
    names = emotion_names(parts)
    if not names:
        raise ValueError("--threshold fit: needs a model whose emotion head is trained, and examples with labels")
    targets, probabilities = emotion_arrays(parts, names=names)
    return fit_thresholds(targets, probabilities, names=names)


def column_figures(clips: Sequence[EvaluatedClip], *, measured: Measurement, thresholds: Thresholds) -> list[Figure]:
    """The figures of the families that were asked for, or of all that have any."""
    default = [family for family in REPORT_FAMILIES if family not in ASKED_FOR_ONLY]
    figures = [
        figure
        for family in measured.families or default
        for figure in report_figures(clips, family=family, matching=measured.matching, thresholds=thresholds)
    ]
    if measured.families is not None and not figures:
        raise ValueError(
            f"--metrics ({', '.join(measured.families)}): neither examples nor reports hold what they need"
        )
    return figures


def reading_changes(changes: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """Names and values of "face_fps=30", ...; raises `ValueError` for what `ReadingSettings` does not have."""
    defaults = ReadingSettings()
    kinds: dict[str, type] = {entry.name: type(getattr(defaults, entry.name)) for entry in fields(ReadingSettings)}
    found = []
    for change in changes:
        name, separator, value = change.partition("=")
        if not separator or kinds.get(name) not in (int, float):
            numbers = [name for name, kind in kinds.items() if kind in (int, float)]
            raise ValueError(f"--reading ({change}) must be NAME=NUMBER with a name of {', '.join(numbers)}")
        found.append((name, kinds[name](value)))
    return tuple(found)


def _threshold(text: str) -> Thresholds | tuple[Example, ...]:
    if text.startswith("fit:"):
        return DatasetChoice.parse(text.removeprefix("fit:")).examples()
    try:
        return Thresholds(float(text))
    except ValueError as error:
        raise ValueError(f"--threshold ({text}) must be a number between 0 and 1, or fit:READER:PATH...") from error


def predictions_path(outputs: Sequence[Path]) -> Path | None:
    """The predictions lie beside the first table that is written."""
    return outputs[0].with_suffix(PREDICTIONS_SUFFIX) if outputs else None


def _renamed(progress: Progress | None, stage: str) -> Progress | None:
    return None if progress is None else lambda _, done, total: progress(stage, done, total)


def _scores(column: Column, *, interval: Interval) -> ModelScores:
    return ModelScores(column.name, [score_of(figure, interval=interval) for figure in column.figures])


def _differences(column: Column, baseline: Column, *, interval: Interval) -> ModelScores:
    """Each figure minus that of the baseline, both of the same clips in every resample."""
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
    """The settings of one model."""
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


def _settings(arguments: argparse.Namespace, measured: Measurement) -> dict[str, object]:
    """The settings that all columns share."""
    words = "the explanations" if measured.settings.mode == "explain" else "the emotion head, from its thresholds on"
    return {
        "mode": measured.settings.mode,
        "reading": ", ".join(arguments.reading) or "as the model's own",
        "emotion counts as given from": arguments.threshold,
        "open-vocabulary labels": words,
        "wheels": measured.matching.wheels.name,
        "intervals": f"{measured.interval}, clips drawn",
    }
