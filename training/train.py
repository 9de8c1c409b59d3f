"""A training run from a recipe: model, data, trainer, and what is left behind."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import HfArgumentParser, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from microemo.conversion.mini.assemble_mini import FACE_LANDMARKS_FOLDER
from microemo.conversion.mini.lora_files import Lora
from microemo.data.clip_features import ClipLoader
from microemo.data.example import Example
from microemo.data.reader_registry import load_examples
from microemo.data.stream_dropout import StreamDropout
from microemo.evaluation.metrics.trainer_metrics import HeadMetrics
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.adapters import add_lora, merged_adapter
from microemo.training.collator import MicroEmoDataCollator
from microemo.training.continued_lora import begin_with, continued_lora, take_out
from microemo.training.feature_cache import TOWERS, cache_face_features, cache_tower_features
from microemo.training.language.examples import LanguageCollator
from microemo.training.language.examples import load_examples as load_language_examples
from microemo.training.length_sampler import rough_tokens
from microemo.training.parameter_groups import train_only
from microemo.training.precision import fitting_precision
from microemo.training.recipe import DataRecipe, Recipe, SourceRecipe
from microemo.training.starting_model import StartingModel, load_starting_model
from microemo.training.trained_weights import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    WEIGHTS_FOLDER,
    assembled_weights,
    examples_hash,
    save_model_folder,
    save_trained_weights,
    write_record,
)
from microemo.training.trainer import MicroEmoTrainer

try:
    import datasets
except ImportError:
    datasets = None

logger = logging.get_logger(__name__)

# What this package's batches need of `TrainingArguments`, and may not be changed by a recipe.
FIXED_ARGUMENTS = {"remove_unused_columns": False, "label_names": ["labels"]}
DEFAULT_ARGUMENTS = {"report_to": ["tensorboard"], "logging_steps": 10, "save_total_limit": 2}
CHECKPOINTING = ("gradient_checkpointing", "activation_checkpointing")  # the old and the new name
SKLEARN_HINT = "the heads are not scored while training: pip install microemo[eval]"


@dataclass(frozen=True)
class TrainingRun:
    """Everything that is ready to train. `trainer.train()` does it, `finish` saves.

    begun_with: of the folder before training, which may be assembled anew meanwhile; see `assembled_weights`.
    """

    recipe: Recipe
    start: StartingModel
    trainer: MicroEmoTrainer
    begun_with: dict[str, str] | None


def train(recipe: Recipe, *, data_root: str | Path = ".", resume: bool | str = False) -> Path:
    """Trains and returns the run's folder, with the model in `model/`, the trained weights alone in `weights/`, and
    with LoRA the adapter in `adapter/`.

    Args:
        data_root: what the paths in the recipe's data are relative to.
        resume: True goes on from the last checkpoint if there is one; or the checkpoint's folder.
    """
    run = prepare(recipe, data_root=data_root)
    checkpoint: str | None = resume if isinstance(resume, str) else None
    folder = run.trainer.args.output_dir
    if resume is True and folder is not None and Path(folder).is_dir():
        checkpoint = get_last_checkpoint(folder)
    run.trainer.train(resume_from_checkpoint=checkpoint)
    if run.trainer.eval_dataset is not None:
        run.trainer.evaluate()
    return finish(run)


def prepare(recipe: Recipe, *, data_root: str | Path = ".") -> TrainingRun:
    """Model, data and trainer of a recipe."""
    arguments = training_arguments(recipe)
    set_seed(arguments.seed)
    start = load_starting_model(recipe.model, trained_parts=recipe.parts.train)
    begun_with = assembled_weights(start.folder)
    model = _trainable(start.model, recipe=recipe)
    if recipe.model.objective == "evidence":
        return _evidence_run(recipe, start, model, arguments=arguments, begun_with=begun_with, root=Path(data_root))
    _remember(model, data=recipe.data, process=arguments.process_index)
    reading = {**start.processor.reading_settings, **recipe.data.reading}
    landmarks = start.folder / FACE_LANDMARKS_FOLDER
    clips = ClipLoader(
        ReadingSettings(**reading),
        detector=recipe.data.detector,
        person=recipe.data.person,
        landmarker=FaceLandmarker(landmarks) if landmarks.is_dir() else None,
        cache_dir=recipe.data.cache_dir,
    )
    start.processor.reading_settings = reading
    collators = [
        MicroEmoDataCollator(
            start.processor,
            config=start.config,
            clips=clips,
            dropout=StreamDropout(**recipe.data.dropout) if training and recipe.data.dropout else None,
            unreadable=recipe.data.unreadable,
            stretch_seconds=recipe.data.stretch_seconds if training else None,
            perceiver=start.model if recipe.model.objective == "answers" else None,
        )
        for training in (True, False)
    ]
    evaluation = load_sources(recipe.data.evaluation, root=Path(data_root)) if recipe.data.evaluation else None
    training_data = load_training_data(recipe.data, root=Path(data_root), seed=arguments.seed)
    trainer = MicroEmoTrainer(
        model=model,
        args=arguments,
        data_collator=collators[0],
        eval_data_collator=collators[1],
        train_dataset=training_data,
        eval_dataset=evaluation,
        processing_class=start.processor,
        compute_metrics=None if evaluation is None else head_metrics(),
        learning_rates=recipe.parts.learning_rates,
        train_lengths=_lengths(training_data) if arguments.train_sampling_strategy == "group_by_length" else None,
    )
    return TrainingRun(recipe, start, trainer, begun_with)


def _evidence_run(
    recipe: Recipe,
    start: StartingModel,
    model: Any,
    *,
    arguments: TrainingArguments,
    begun_with: dict[str, str] | None,
    root: Path,
) -> TrainingRun:
    """A run on examples that `language.prepare` has written: tensors already, with soft tokens that are known."""
    examples = [each for source in recipe.data.train for each in load_language_examples(root / source.path)]
    trainer = MicroEmoTrainer(
        model=model,
        args=arguments,
        data_collator=LanguageCollator(pad_token_id=start.processor.tokenizer.pad_token_id),
        train_dataset=examples,
        processing_class=start.processor,
        learning_rates=recipe.parts.learning_rates,
        train_lengths=[float(len(each.input_ids)) for each in examples],
    )
    return TrainingRun(recipe, start, trainer, begun_with)


def _remember(model: Any, *, data: DataRecipe, process: int) -> None:
    """Lets the frozen parts that the recipe names look up what they have seen before."""
    if data.features_dir is None:
        return
    folder, kept = Path(data.features_dir), data.kept_towers
    writer = f"{process}-{os.getpid()}"  # other runs may write at the same time
    cache_tower_features(model, folder=folder, towers=[name for name in kept if name in TOWERS], writer=writer)
    if "micro_dynamics" in kept:
        cache_face_features(model, folder=folder)


def training_arguments(recipe: Recipe) -> TrainingArguments:
    """The recipe's arguments over this package's defaults; raises `ValueError` for one that does not exist."""
    fixed = sorted(set(recipe.training) & set(FIXED_ARGUMENTS))
    if fixed:
        raise ValueError(f"training may not set {fixed}: {FIXED_ARGUMENTS}")
    given = {**DEFAULT_ARGUMENTS, **fitting_precision(recipe.training), **FIXED_ARGUMENTS}
    parser = HfArgumentParser([TrainingArguments])  # type: ignore[list-item]  # a dataclass, says its decorator
    (arguments,) = parser.parse_dict(given)
    return arguments


def load_training_data(recipe: DataRecipe, *, root: Path, seed: int) -> Any:
    """The training examples of all sources in one table, or in one stream that is shuffled as it is read."""
    if not recipe.streaming:
        return load_sources(recipe.train, root=root)
    streams = [
        stream for source in recipe.train for stream in [_table(source, root=root, streaming=True)] * source.repeat
    ]
    mixed = datasets.interleave_datasets(streams, seed=seed, stopping_strategy="all_exhausted")
    return mixed.shuffle(seed=seed, buffer_size=recipe.shuffle_buffer).repeat(None)


def load_sources(sources: Sequence[SourceRecipe], *, root: Path) -> Any:
    """The examples of the sources one after the other, each source as often as it says."""
    tables = [table for source in sources for table in [_table(source, root=root, streaming=False)] * source.repeat]
    return datasets.concatenate_datasets(tables)


def _table(source: SourceRecipe, *, root: Path, streaming: bool) -> Any:
    arguments = dict(source.arguments)
    if "media_root" in arguments:
        arguments["media_root"] = root / arguments["media_root"]
    return load_examples(
        source.reader,
        root / source.path,
        streaming=streaming,
        questions=source.questions,
        take=source.take,
        **arguments,
    )


def _lengths(table: Any) -> list[float] | None:
    """About how long the examples of a table are; None of a stream, whose order is its own."""
    if isinstance(table, datasets.IterableDataset):
        return None
    return [rough_tokens(Example.from_row(row)) for row in table]


def head_metrics() -> HeadMetrics | None:
    """What scores the heads in evaluation; None, with a warning, where scikit-learn is missing."""
    if importlib.util.find_spec("sklearn") is None:
        logger.warning(SKLEARN_HINT)
        return None
    return HeadMetrics(output_names=(), label_names=())


def _trainable(model: Any, *, recipe: Recipe) -> Any:
    """The model with its adapters, everything frozen that the recipe does not train."""
    if recipe.lora is not None:
        if any(recipe.training.get(name) for name in CHECKPOINTING):
            model.enable_input_require_grads()
        continued = continued_lora(recipe.lora)
        if continued is not None:
            take_out(model, lora=continued)
        model = add_lora(model, lora=recipe.lora, parts=recipe.parts.train)
        if continued is not None:
            begin_with(model, lora=continued)
    train_only(model, parts=recipe.parts.train, frozen=recipe.parts.frozen)
    return model


def finish(run: TrainingRun) -> Path:
    """Saves what was trained and returns the run's folder; every process has to call it.

    The folder to use is made of what was saved: sharded and quantized models are merged on the main process alone.
    """
    trainer, recipe = run.trainer, run.recipe
    folder = Path(str(trainer.args.output_dir))  # recipes always have one
    # The first saving is the trainer's own, as it knows how the weights lie on the devices.
    trainer.save_model(str(folder / (MODEL_FOLDER if recipe.lora is None else ADAPTER_FOLDER)))
    if not trainer.is_world_process_zero():
        return folder
    model, lora = _saved_model(run, folder=folder)
    model.config.trained_parts = list(dict.fromkeys([*model.config.trained_parts, *_declared(run)]))
    save_model_folder(model, processor=run.start.processor, folder=folder / MODEL_FOLDER, origin=run.start.folder)
    weights = folder / WEIGHTS_FOLDER
    save_trained_weights(model.state_dict(), folder=weights, parts=recipe.parts.train, lora=lora)
    write_record(
        weights,
        recipe=recipe,
        trained_parts=model.config.trained_parts,
        begun_with=run.begun_with,
        reading_settings=run.start.processor.reading_settings,
        data={"train": _data_hash(trainer.train_dataset), "evaluation": _data_hash(trainer.eval_dataset)},
        curves=trainer.state.log_history,
    )
    return folder


def _declared(run: TrainingRun) -> tuple[str, ...]:
    """What the recipe declares as trained; nothing, with a warning, after a run that was too short to say so."""
    arguments, state, parts = run.trainer.args, run.trainer.state, run.recipe.parts
    a_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    seen = state.global_step * a_step
    if not parts.declare or (state.global_step >= state.max_steps and seen >= parts.declare_after):
        return parts.declare
    logger.warning(
        f"{', '.join(parts.declare)} not declared as trained: the run took {state.global_step} of {state.max_steps} "
        f"steps and saw {seen} examples, parts.declare_after is {parts.declare_after}"
    )
    return ()


def _saved_model(run: TrainingRun, *, folder: Path) -> tuple[Any, Lora | None]:
    """The model that was saved, with adapters merged, and the adapters' matrices."""
    if run.recipe.lora is None:
        return type(run.start.model).from_pretrained(folder / MODEL_FOLDER), None
    whole = replace(run.recipe.model, path=str(run.start.folder), quantization=None)
    base = load_starting_model(whole, trained_parts=run.recipe.parts.train).model
    if (continued := continued_lora(run.recipe.lora)) is not None:
        take_out(base, lora=continued)
    return merged_adapter(base, folder=folder / ADAPTER_FOLDER)


def _data_hash(table: Any) -> str:
    if table is None:
        return "none"
    if isinstance(table, datasets.IterableDataset):
        return "streamed, not hashed"
    if isinstance(table, list):
        digest = hashlib.sha256()
        for example in table:
            digest.update(example.input_ids.numpy().tobytes())
        return digest.hexdigest()
    return examples_hash(_rows(table))


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    yield from table
