"""Training from a recipe: builds model, data and trainer, trains, and saves model, weights and record."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import TrainingArguments, set_seed
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
from microemo.training.adapters import add_lora, init_adapters, load_continued_lora, merged_adapter, subtract_lora
from microemo.training.arguments import training_arguments
from microemo.training.collator import MicroEmoDataCollator
from microemo.training.feature_cache import TOWERS, cache_face_features, cache_tower_features
from microemo.training.language.examples import LanguageCollator
from microemo.training.language.examples import load_examples as load_language_examples
from microemo.training.length_sampler import estimate_tokens
from microemo.training.parameter_groups import train_only
from microemo.training.recipe import DataRecipe, Recipe, SourceRecipe
from microemo.training.run_folder import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    WEIGHTS_FOLDER,
    checkpoint_hashes,
    examples_hash,
    save_model_folder,
    save_trained_weights,
    write_record,
)
from microemo.training.starting_model import StartingModel, load_starting_model
from microemo.training.trainer import MicroEmoTrainer

try:
    import datasets
except ImportError:
    datasets = None

logger = logging.get_logger(__name__)

CHECKPOINTING = ("gradient_checkpointing", "activation_checkpointing")  # old and new name in transformers
SKLEARN_HINT = "head metrics in evaluation need scikit-learn: pip install microemo[eval]"


@dataclass(frozen=True)
class TrainingRun:
    """A run that is ready for `trainer.train()`; `finish` saves it.

    base_checkpoint: hashes of the starting folder, see `checkpoint_hashes`. Read before training, as the folder may
    be assembled again meanwhile.
    """

    recipe: Recipe
    start: StartingModel
    trainer: MicroEmoTrainer
    base_checkpoint: dict[str, str] | None


def train(recipe: Recipe, *, data_root: str | Path = ".", resume: bool | str = False) -> Path:
    """Trains a recipe and returns the run's folder.

    It holds the model in `model/`, the trained weights in `weights/` and, with LoRA, the adapter in `adapter/`.

    Args:
        data_root: base of the relative paths in the recipe's data section.
        resume: True resumes from the last checkpoint if there is one; a string is the folder of a checkpoint.
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
    """Builds model, data and trainer of a recipe."""
    arguments = training_arguments(recipe)
    set_seed(arguments.seed)
    start = load_starting_model(recipe.model, trained_parts=recipe.parts.train)
    base_checkpoint = checkpoint_hashes(start.folder)
    model = _trainable(start.model, recipe=recipe)
    if recipe.model.objective == "evidence":
        trainer = _evidence_trainer(recipe, start, model, arguments=arguments, root=Path(data_root))
        return TrainingRun(recipe, start, trainer, base_checkpoint)
    _cache_features(model, data=recipe.data, process=arguments.process_index)
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
    return TrainingRun(recipe, start, trainer, base_checkpoint)


def _evidence_trainer(
    recipe: Recipe, start: StartingModel, model: Any, *, arguments: TrainingArguments, root: Path
) -> MicroEmoTrainer:
    """Trainer on the examples of `language.prepare`, which are tokenized and hold precomputed soft tokens."""
    examples = [example for source in recipe.data.train for example in load_language_examples(root / source.path)]
    return MicroEmoTrainer(
        model=model,
        args=arguments,
        data_collator=LanguageCollator(pad_token_id=start.processor.tokenizer.pad_token_id),
        train_dataset=examples,
        processing_class=start.processor,
        learning_rates=recipe.parts.learning_rates,
        train_lengths=[float(len(example.input_ids)) for example in examples],
    )


def _cache_features(model: Any, *, data: DataRecipe, process: int) -> None:
    """Caches the features of the frozen parts that the recipe names, see `feature_cache`."""
    if data.features_dir is None:
        return
    folder = Path(data.features_dir)
    towers = [name for name in data.cached_towers if name in TOWERS]
    writer = f"{process}-{os.getpid()}"  # other runs may write at the same time
    cache_tower_features(model, folder=folder, towers=towers, writer=writer)
    if "micro_dynamics" in data.cached_towers:
        cache_face_features(model, folder=folder)


def load_training_data(recipe: DataRecipe, *, root: Path, seed: int) -> Any:
    """The training examples of all sources: one table, or one stream that is shuffled in a buffer."""
    if not recipe.streaming:
        return load_sources(recipe.train, root=root)
    streams = [
        stream for source in recipe.train for stream in [_table(source, root=root, streaming=True)] * source.repeat
    ]
    mixed = datasets.interleave_datasets(streams, seed=seed, stopping_strategy="all_exhausted")
    return mixed.shuffle(seed=seed, buffer_size=recipe.shuffle_buffer).repeat(None)


def load_sources(sources: Sequence[SourceRecipe], *, root: Path) -> Any:
    """Concatenates the sources, each repeated as often as its `repeat` says."""
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
    """Estimated lengths of the examples of a table; None for a stream."""
    if isinstance(table, datasets.IterableDataset):
        return None
    return [estimate_tokens(Example.from_row(row)) for row in table]


def head_metrics() -> HeadMetrics | None:
    """Metrics of the heads in evaluation; None, with a warning, without scikit-learn."""
    if importlib.util.find_spec("sklearn") is None:
        logger.warning(SKLEARN_HINT)
        return None
    return HeadMetrics(output_names=(), label_names=())


def _trainable(model: Any, *, recipe: Recipe) -> Any:
    """Adds the recipe's adapters and freezes everything that it does not train."""
    if recipe.lora is not None:
        if any(recipe.training.get(name) for name in CHECKPOINTING):
            model.enable_input_require_grads()
        continued = load_continued_lora(recipe.lora)
        if continued is not None:
            subtract_lora(model, lora=continued)
        model = add_lora(model, lora=recipe.lora, parts=recipe.parts.train)
        if continued is not None:
            init_adapters(model, lora=continued)
    train_only(model, parts=recipe.parts.train, frozen=recipe.parts.frozen)
    return model


def finish(run: TrainingRun) -> Path:
    """Saves the trained model and returns the run's folder. Every process must call it.

    The main process then reloads the saved weights and writes the merged, unsharded and unquantized model from them.
    """
    trainer, recipe = run.trainer, run.recipe
    folder = Path(str(trainer.args.output_dir))  # every recipe has one
    # Saved by the trainer first, which gathers sharded weights.
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
        base_checkpoint=run.base_checkpoint,
        reading_settings=run.start.processor.reading_settings,
        data={"train": _data_hash(trainer.train_dataset), "evaluation": _data_hash(trainer.eval_dataset)},
        curves=trainer.state.log_history,
    )
    return folder


def _declared(run: TrainingRun) -> tuple[str, ...]:
    """The parts that the recipe declares as trained; none, with a warning, if the run was too short."""
    arguments, state, parts = run.trainer.args, run.trainer.state, run.recipe.parts
    examples_per_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    num_examples = state.global_step * examples_per_step
    if not parts.declare or (state.global_step >= state.max_steps and num_examples >= parts.declare_after):
        return parts.declare
    logger.warning(
        f"{', '.join(parts.declare)} not declared as trained: the run took {state.global_step} of {state.max_steps} "
        f"steps and saw {num_examples} examples, parts.declare_after is {parts.declare_after}"
    )
    return ()


def _saved_model(run: TrainingRun, *, folder: Path) -> tuple[Any, Lora | None]:
    """Loads the saved model with its adapters merged. Returns it with the adapters' factors."""
    if run.recipe.lora is None:
        return type(run.start.model).from_pretrained(folder / MODEL_FOLDER), None
    unquantized = replace(run.recipe.model, path=str(run.start.folder), quantization=None)
    base = load_starting_model(unquantized, trained_parts=run.recipe.parts.train).model
    if (continued := load_continued_lora(run.recipe.lora)) is not None:
        subtract_lora(base, lora=continued)
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
