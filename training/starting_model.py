"""Loads the model and processor that a training run starts from."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from huggingface_hub import snapshot_download
from transformers import PreTrainedModel

from microemo import (
    MicroEmoConfig,
    MicroEmoForConditionalGeneration,
    MicroEmoForEmotionClassification,
    MicroEmoProcessor,
)
from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.training.adapters import quantization_config
from microemo.training.objectives.face_timeline import (
    MicroEmoForFaceFlow,
    MicroEmoForFaceMovement,
    MicroEmoForFaceTimeline,
)
from microemo.training.parameter_groups import part_of
from microemo.training.recipe import ModelRecipe

MODEL_CLASSES: dict[str, type[PreTrainedModel]] = {
    "answers": MicroEmoForConditionalGeneration,
    "emotions": MicroEmoForEmotionClassification,
    "face": MicroEmoForFaceTimeline,
    "movement": MicroEmoForFaceMovement,
    "flow": MicroEmoForFaceFlow,
    "evidence": MicroEmoForConditionalGeneration,
}
# Settings that processor and model share: attribute of the processor -> path in the config.
SHARED_SETTINGS = {
    "timestamp": "timestamp",
    "utterance_mode": "utterance_mode",
    "window_frames": "window_frames",
    "window_stride": "window_stride",
    "video_tokens_per_segment": "video_qformer_config.num_query_tokens",
    "audio_tokens_per_segment": "audio_qformer_config.num_query_tokens",
}


@dataclass(frozen=True)
class StartingModel:
    """The model to train, its processor, and the folder that both were loaded from."""

    model: PreTrainedModel
    processor: MicroEmoProcessor
    folder: Path

    @property
    def config(self) -> MicroEmoConfig:
        return cast(MicroEmoConfig, self.model.config)


def load_starting_model(recipe: ModelRecipe, *, trained_parts: Sequence[str]) -> StartingModel:
    """Loads the recipe's model with the recipe's config changes.

    Args:
        trained_parts: parts whose weights may be missing in the folder; they start from random values.

    Raises:
        ValueError: weights of another part are missing, which would stay random.
    """
    folder = _folder(recipe.path)
    config = changed_config(MicroEmoConfig.from_pretrained(folder), changes=recipe.changes)
    settings: dict[str, Any] = {"dtype": getattr(torch, recipe.dtype)}
    if recipe.attn_implementation is not None:
        settings["attn_implementation"] = recipe.attn_implementation
    if recipe.quantization is not None:
        settings["quantization_config"] = quantization_config(recipe.quantization)
    model_class: Any = MODEL_CLASSES[recipe.objective]
    model, loading_info = model_class.from_pretrained(folder, config=config, output_loading_info=True, **settings)
    missing = sorted(key for key in loading_info["missing_keys"] if part_of(key) not in trained_parts)
    if missing:
        raise ValueError(f"{folder} lacks {len(missing)} weights of parts that are not trained, such as {missing[0]}")
    processor = MicroEmoProcessor.from_pretrained(folder)
    for name, path in SHARED_SETTINGS.items():
        setattr(processor, name, _value_at(model.config, path))
    return StartingModel(model, processor, folder)


def changed_config(config: MicroEmoConfig, *, changes: Mapping[str, Any]) -> MicroEmoConfig:
    """Returns a config with changed values. Dots reach into sub-configs: "dynamics_config.hidden_dropout_prob".

    Raises:
        ValueError: the config does not have a name.
    """
    content = copy.deepcopy(config.to_dict())
    for path, value in changes.items():
        *outer, name = path.split(".")
        inner = content
        for step in outer:
            inner = inner.get(step) or {}
        if name not in inner:
            raise ValueError(f"model.changes has {path!r}, which the config does not have")
        inner[name] = value
    return MicroEmoConfig.from_dict(content)


def _folder(path: str | None) -> Path:
    if path is None:
        with PartialState().local_main_process_first():  # transformers writes weights on the main process only
            return assemble_mini()
    folder = Path(path).expanduser()
    return folder if folder.is_dir() else Path(snapshot_download(path))


def _value_at(config: Any, path: str) -> Any:
    for step in path.split("."):
        config = getattr(config, step)
    return config
