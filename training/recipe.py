"""Training recipes in YAML. Unknown keys are errors.

model:    {path: null, objective: answers}
data:     {train: [{reader: jsonl, path: clips.jsonl}]}
parts:    {train: [video_qformer, video_projector]}
training: {output_dir: runs/streams, num_train_epochs: 3, learning_rate: 2e-5}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from microemo.training.feature_cache import TOWERS
from microemo.training.parameter_groups import check_parts

try:
    import yaml
except ImportError:
    yaml = None  # type: ignore[assignment]

RECIPES = Path(__file__).parent / "recipes"  # in the package
CACHED_PARTS = (*TOWERS, "micro_dynamics")
OBJECTIVES = ("answers", "emotions", "face", "movement", "flow", "evidence")
# YAML 1.1 reads "no" as a bool and "2e-5" as a string; both are common in training arguments.
BOOL_TAG, BOOL = "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
FLOAT = re.compile(r"^[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$")


@dataclass(frozen=True)
class SourceRecipe:
    """A data set.

    Args:
        path: relative to the data root.
        repeat: how often an epoch contains it.
        take: use only the first n examples.
    """

    reader: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict)
    repeat: int = 1
    take: int | None = None
    questions: str = "all"

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise ValueError(f"repeat ({self.repeat}) must be >= 1")
        if self.take is not None and self.take < 1:
            raise ValueError(f"take ({self.take}) must be >= 1")


@dataclass(frozen=True)
class DataRecipe:
    """The data sets and how their clips are read.

    Args:
        reading: arguments of `ReadingSettings`, over those of the model's processor.
        cache_dir: folder of decoded clips.
        features_dir: folder of cached features of the `cached_towers`, which must be frozen (see `feature_cache`).
        cached_towers: "micro_dynamics" caches the face features as well.
        dropout: arguments of `StreamDropout`.
        stretch_seconds: length of the random part of a face timeline that a step trains on, see `face_clips`.
        streaming: read the data while training; needs `training.max_steps`.
    """

    train: tuple[SourceRecipe, ...]
    evaluation: tuple[SourceRecipe, ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)
    detector: str | None = "centerface"
    person: str = "speaker"
    cache_dir: str | None = None
    features_dir: str | None = None
    cached_towers: tuple[str, ...] = ("frame_tower", "face_tower")
    dropout: dict[str, float] = field(default_factory=dict)
    stretch_seconds: float | None = None
    unreadable: str = "raise"
    streaming: bool = False
    shuffle_buffer: int = 1000

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("data.train must name at least one data set")
        unknown = sorted(set(self.cached_towers) - set(CACHED_PARTS))
        if unknown:
            raise ValueError(f"data.cached_towers has {unknown}; allowed are {', '.join(CACHED_PARTS)}")


@dataclass(frozen=True)
class ModelRecipe:
    """The model that training starts from.

    Args:
        path: a model folder or Hub id; None is microemo-mini.
        objective: "answers" (all losses), "emotions" (both heads, no language loss), "face" (the face head without the
            language model), "movement" or "flow" (the face head on that token only, see `face_timeline`), or
            "evidence" (tokenized examples of `language.prepare`).
        changes: config values, such as the switches of an ablation.
        dtype: of the weights.
        quantization: arguments of `BitsAndBytesConfig` (QLoRA).
    """

    path: str | None = None
    objective: str = "answers"
    changes: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    attn_implementation: str | None = None
    quantization: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"model.objective ({self.objective!r}) must be one of {', '.join(OBJECTIVES)}")


@dataclass(frozen=True)
class PartsRecipe:
    """The parts to train.

    Args:
        train: names of parts, see `parameter_groups`.
        frozen: submodules of these parts that stay frozen, such as "face_head.static_expression".
        learning_rates: of single parts, and of "lora".
        declare: outputs that count as trained afterwards ("micro_dynamics", "explanations", ...); reports mark the
            others as untrained.
        declare_after: minimum number of examples before anything is declared, so that trial runs declare nothing.
    """

    train: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    learning_rates: dict[str, float] = field(default_factory=dict)
    declare: tuple[str, ...] = ()
    declare_after: int = 100

    def __post_init__(self) -> None:
        if self.declare_after < 1:
            raise ValueError(f"parts.declare_after ({self.declare_after}) must be >= 1")
        check_parts(self.train)


@dataclass(frozen=True)
class LoraRecipe:
    """LoRA adapters on the language model.

    Args:
        targets: projections of each layer.
        continues: file of a LoRA that is already merged into the model ("runs/words/weights/
            language_model_lora.safetensors"). It is subtracted from the weights and the adapter starts from its
            factors, so that the rank does not grow. r and alpha must equal those of the file. The saved adapter
            belongs to the model without the file's LoRA.
    """

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    continues: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A training run. `training` holds arguments of `transformers.TrainingArguments`."""

    model: ModelRecipe
    data: DataRecipe
    parts: PartsRecipe
    training: dict[str, Any]
    lora: LoraRecipe | None = None

    def __post_init__(self) -> None:
        if "output_dir" not in self.training:
            raise ValueError("training must have an output_dir")
        if not self.parts.train and self.lora is None:
            raise ValueError("nothing is trained: parts.train is empty and there is no lora")
        if self.data.streaming and "max_steps" not in self.training:
            raise ValueError("data.streaming needs training.max_steps, as a stream has no length")
        if self.model.quantization is not None and self.lora is None:
            raise ValueError("model.quantization needs lora: quantized weights cannot be trained themselves")
        if self.model.quantization is not None and self.lora is not None and self.lora.continues is not None:
            raise ValueError(
                "lora.continues needs unquantized weights: a LoRA cannot be subtracted from quantized ones"
            )


def load_recipe(path: str | Path, *, changes: Sequence[str] = ()) -> Recipe:
    """Loads a recipe from a YAML file.

    Args:
        path: a file, or the name of a packaged recipe, such as "face_dynamics".
        changes: overrides such as "training.max_steps=10" or "data.train.0.path=clips.jsonl"; values are YAML.
    """
    if yaml is None:
        raise ImportError("recipes need PyYAML: pip install microemo[train]")
    file = Path(path)
    if not file.is_file():
        file = RECIPES / f"{path}.yaml"
    if not file.is_file():
        raise ValueError(f"recipe ({path}) must be a file or one of {', '.join(packaged_recipes())}")
    content = parse_yaml(file.read_text(encoding="utf-8"))
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise ValueError(f"changes must look like training.max_steps=10, got {change!r}")
        _assign(content, key.split("."), parse_yaml(value))
    return recipe_of(content)


def packaged_recipes() -> list[str]:
    """Names of the recipes in the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def parse_yaml(text: str) -> Any:
    """Parses YAML with two changes: 2e-5 is a number, and "no" is a string (`eval_strategy: no`)."""

    class Loader(yaml.SafeLoader):
        """A subclass, so that PyYAML's own loader keeps its resolvers."""

        yaml_implicit_resolvers = {
            letter: [(tag, pattern) for tag, pattern in resolvers if tag != BOOL_TAG]
            for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver(BOOL_TAG, BOOL, list("tTfF"))
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789"))
    return yaml.load(text, Loader=Loader)


def recipe_of(content: Any) -> Recipe:
    """Builds a recipe from parsed YAML. Raises `ValueError` for an unknown key."""
    sections = _checked(Recipe, content, where="recipe")
    data = _checked(DataRecipe, sections.get("data", {}), where="data")
    for name in ("train", "evaluation"):
        entries = data.get(name) or []
        data[name] = tuple(
            SourceRecipe(**_checked(SourceRecipe, entry, where=f"data.{name}.{index}"))
            for index, entry in enumerate(entries)
        )
    if "cached_towers" in data:
        data["cached_towers"] = tuple(data["cached_towers"])
    parts = _checked(PartsRecipe, sections.get("parts", {}), where="parts")
    for name in ("train", "frozen", "declare"):
        parts[name] = tuple(parts.get(name) or ())
    lora = sections.get("lora")
    if lora is not None:
        lora = _checked(LoraRecipe, lora, where="lora")
        lora = LoraRecipe(**{**lora, **({"targets": tuple(lora["targets"])} if "targets" in lora else {})})
    return Recipe(
        model=ModelRecipe(**_checked(ModelRecipe, sections.get("model", {}), where="model")),
        data=DataRecipe(**data),
        parts=PartsRecipe(**parts),
        training=dict(sections.get("training") or {}),
        lora=lora,
    )


def _checked(kind: type, content: Any, *, where: str) -> dict[str, Any]:
    """Returns the content as keyword arguments of a dataclass, after a check of its keys."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{where} must be a mapping, got {content!r}")
    allowed = {entry.name for entry in fields(kind)}
    unknown = sorted(set(content) - allowed)
    if unknown:
        raise ValueError(f"{where} has unknown keys {unknown}; allowed are {sorted(allowed)}")
    return dict(content)


def _assign(content: Any, keys: Sequence[str], value: Any) -> None:
    """Sets a nested value; creates missing mappings on the way."""
    for key in keys[:-1]:
        if isinstance(content, list):
            content = content[int(key)]
        else:
            if content.get(key) is None:
                content[key] = {}
            content = content[key]
    if isinstance(content, list):
        content[int(keys[-1])] = value
    else:
        content[keys[-1]] = value
