"""`microemo evaluate --mode answers`: the questions of a data set, answered by models or in files of predictions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib.metadata import version

from microemo.data.example import Example, Turn
from microemo.evaluation.answer_figures import answer_figures, answers_of, scored_questions
from microemo.evaluation.answerers import Answerer, load_answerer
from microemo.evaluation.clip_labels import read_answers
from microemo.evaluation.dataset_choice import DatasetChoice
from microemo.evaluation.evaluate import file_identity, interval_of, matching_of, prediction_files, score_of
from microemo.evaluation.evaluate_models import named_models, reading_changes
from microemo.evaluation.model_runs import RunSettings
from microemo.evaluation.score_table import ModelScores, ScoreTable
from microemo.inference.report.export import write_atomically
from microemo.inference.stage_timer import Progress

ANSWERS_SUFFIX = ".answers.jsonl"


def evaluate_answers(arguments: argparse.Namespace, *, progress: Progress | None = None) -> ScoreTable:
    """Returns the table; what models answered is written beside it, one file a model."""
    _check(arguments)
    dataset = DatasetChoice.parse(arguments.dataset, take=arguments.take)
    examples = {entry.example_id: entry for entry in dataset.examples()}
    questions = scored_questions(list(examples.values()))
    matching, interval = matching_of(arguments), interval_of(arguments)
    texts: dict[str, Mapping[str, str]] = {}
    about: dict[str, object] = {}
    for name, path in prediction_files(arguments.predictions or ()):
        texts[name] = read_answers(path)
        about[f"predictions of {name}"] = file_identity(path)
    settings = RunSettings(reading=reading_changes(arguments.reading), clip_cache=arguments.clip_cache)
    for model in [] if arguments.predictions else named_models(arguments.model):
        answerer = load_answerer(
            model.source, settings=settings, device=arguments.device, dtype=arguments.dtype, progress=progress
        )
        texts[model.name] = _asked(answerer, examples, questions, progress=progress)
        about[f"model {model.name}"] = answerer.identity
    models = []
    for name, given in texts.items():
        figures = answer_figures(answers_of(questions, given, missing=arguments.missing), matching=matching)
        models.append(ModelScores(name, [score_of(figure, interval=interval) for figure in figures]))
    if not arguments.predictions:
        _keep(arguments, texts, questions)
    settings_of_table = {
        "microemo": version("microemo"),
        "dataset": f"{dataset} ({len(questions)} questions with options)",
        **about,
        "questions without answer": arguments.missing,
        "intervals": str(interval),
    }
    return ScoreTable(models=models, settings=settings_of_table)


def _check(arguments: argparse.Namespace) -> None:
    """Refuses what other modes take and this one would leave unused."""
    if not arguments.dataset:
        raise ValueError("--mode answers needs --dataset READER:PATH, whose questions are answered")
    if arguments.predictions and arguments.model:
        raise ValueError("--mode answers takes --model or --predictions, got both")
    unused = {
        "--references": arguments.references,
        "--metrics": arguments.metrics,
        "--stored-groups": arguments.stored_groups,
        "--ablation": arguments.ablation != ["full"],
        "--threshold": arguments.threshold != "0.5",
    }
    given = [name for name, value in unused.items() if value]
    if given:
        raise ValueError(f"--mode answers does not take {', '.join(given)}")


def _asked(
    answerer: Answerer,
    examples: Mapping[str, Example],
    questions: Mapping[str, Turn],
    *,
    progress: Progress | None,
) -> dict[str, str]:
    answers = {}
    for number, name in enumerate(questions, start=1):
        answers[name] = answerer(examples[name])
        if progress is not None:
            progress("questions", number, len(questions))
    return answers


def _keep(
    arguments: argparse.Namespace, texts: Mapping[str, Mapping[str, str]], questions: Mapping[str, Turn]
) -> None:
    """Beside the first table that is written, as files that --predictions reads."""
    for name, given in texts.items() if arguments.output else ():
        rows = [
            {"name": question, "task": turn.task, "reference": turn.answer, "answer": given[question]}
            for question, turn in questions.items()
        ]
        suffix = ANSWERS_SUFFIX if len(texts) == 1 else f".{name}{ANSWERS_SUFFIX}"
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(arguments.output[0].with_suffix(suffix), lines)
