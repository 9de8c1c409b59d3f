"""Converts the original files of TimeChat or Video-LLaMA to a Hugging Face folder of MicroEmo.

    <out>/config.json, generation_config.json, processor and tokenizer files
    <out>/model-*.safetensors, model.safetensors.index.json
    <out>/adapter/                 LoRA, if it is saved separately
    <out>/conversion.json          source keys of all tensors, and ignored keys

The original tensors are memory-mapped and converted one shard at a time into `<out>.partial`, which is renamed after
all files were read back. An interrupted run resumes with the first missing shard.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from filelock import FileLock
from transformers import GenerationConfig

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.mini.assembled_folder import fingerprint_of
from microemo.conversion.timechat.key_rules import ConversionPlan, plan_conversion, refuse
from microemo.conversion.timechat.reload_check import check_settings, check_weights
from microemo.conversion.timechat.seeded_parts import SeededParts, check_seedable
from microemo.conversion.timechat.sharded_writer import (
    PROGRESS_FILE,
    Progress,
    plan_shards,
    read_progress,
    write_json,
    write_shards,
)
from microemo.conversion.timechat.tensor_parts import Combiner
from microemo.conversion.timechat.timechat_keys import (
    KEY_RULES,
    LLAMA_PREFIX,
    VIT_PREFIX,
    WHISPER_PREFIX,
    ignore_rules,
)
from microemo.conversion.timechat.timechat_lora import check_lora, split_adapter, write_adapter
from microemo.conversion.timechat.weight_files import StoredTensor, read_weights
from microemo.presets import meta_model
from microemo.processing.processing_microemo import MicroEmoProcessor

RECORD_FILE = "conversion.json"
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
LORA_MODES = ("merge", "adapter")


@dataclass(frozen=True)
class OriginalFiles:
    """Paths of the original weights.

    Args:
        vit: eva_vit_g.pth.
        qformer: instruct_blip_vicuna7b_trimmed.pth, or BLIP-2's for Video-LLaMA.
        llama: folder of the language model.
        checkpoints: timechat_7b.pth, or Video-LLaMA's VL and AL files; later files override earlier ones.
        whisper: folder of a Whisper, for models with an audio branch.
    """

    vit: Path
    qformer: Path
    llama: Path
    checkpoints: tuple[Path, ...]
    whisper: Path | None = None

    def read(self) -> tuple[dict[str, StoredTensor], tuple[str, ...]]:
        """Returns all tensors under TimeChat's names, and the names that a later file overrides."""
        sources = [(self.vit, VIT_PREFIX), (self.llama, LLAMA_PREFIX)]
        sources += [(self.whisper, WHISPER_PREFIX)] if self.whisper is not None else []
        sources += [(path, "") for path in (self.qformer, *self.checkpoints)]
        stored: dict[str, StoredTensor] = {}
        replaced: list[str] = []
        for path, prefix in sources:
            tensors = read_weights(path, prefix=prefix)
            replaced += stored.keys() & tensors.keys()
            stored.update(tensors)
        return stored, tuple(sorted(set(replaced)))


@dataclass(frozen=True)
class ConversionOptions:
    """Options of a conversion.

    Args:
        lora: "merge" merges the LoRA into the weights, "adapter" saves it separately.
        lora_alpha: 32 in TimeChat's training; its authors use 20 at inference for better language.
        seed: of the parts that the original files do not have.
        strict: an incomplete LoRA is an error instead of a warning.
    """

    dtype: str = "bfloat16"
    lora: str = "merge"
    lora_alpha: float = 32.0
    max_shard_bytes: int = 4 * 10**9
    seed: int = 20_260
    strict: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}, allowed are {', '.join(DTYPES)}")
        if self.lora not in LORA_MODES:
            raise ValueError(f"lora is {self.lora!r}, allowed are {', '.join(LORA_MODES)}")


def convert_timechat(
    files: OriginalFiles,
    out_dir: str | Path,
    *,
    config: MicroEmoConfig,
    processor: MicroEmoProcessor,
    generation_config: GenerationConfig | None = None,
    options: ConversionOptions | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the converted model and its processor to `out_dir` and returns `out_dir`.

    Args:
        files: The original files.
        out_dir: A new folder, or that of an earlier run of the same conversion.
        config: Of the model; see `paper_parts`.
        processor: Of the model.
        generation_config: Of the model; None keeps the defaults of transformers.
        options: Options of the conversion.
        progress: Called with a stage, done and total.

    Raises:
        ValueError: before anything is written, with the names of unknown original keys or of missing ones. An
            incomplete LoRA is a warning.
    """
    options = options or ConversionOptions()
    target = Path(out_dir).expanduser().absolute()
    stored, replaced = files.read()
    conversion = _Conversion(stored, config=config, options=options)
    recipe = _recipe(stored, config=config, options=options)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if _is_converted(target, fingerprint=fingerprint_of(recipe)):
            return target
        staging = _staging_folder(target, fingerprint=fingerprint_of(recipe))
        conversion.write_settings(staging, processor=processor, generation_config=generation_config)
        conversion.write_weights(staging, fingerprint=fingerprint_of(recipe), progress=progress)
        check_settings(staging, config=conversion.model.config)
        record = {"fingerprint": fingerprint_of(recipe), "recipe": recipe, **conversion.record(replaced)}
        write_json(staging / RECORD_FILE, record)
        (staging / PROGRESS_FILE).unlink()
        os.rename(staging, target)
    return target


class _Conversion:
    """The conversion of one set of original tensors."""

    def __init__(self, stored: Mapping[str, StoredTensor], *, config: MicroEmoConfig, options: ConversionOptions):
        self.stored = stored
        self.options = options
        self.model = meta_model(config)
        self.model.config.dtype = DTYPES[options.dtype]
        self.model.config.architectures = [type(self.model).__name__]
        state_dict = self.model.state_dict()
        tied = self.model.all_tied_weights_keys
        self.targets = {key: tensor for key, tensor in state_dict.items() if key not in tied}
        plan = plan_conversion(stored, targets=self.targets, rules=KEY_RULES, ignore_rules=ignore_rules(config))
        self.missing_lora = check_lora(plan, config=config, strict=options.strict)
        self.plan: ConversionPlan
        self.plan, self.adapter = split_adapter(plan) if options.lora == "adapter" else (plan, {})
        self.combine = Combiner(options.lora_alpha)
        check_seedable(self.plan.missing, rules=KEY_RULES)
        check_shapes(self.plan, stored=stored, targets=self.targets, combine=self.combine)
        self.seeded = SeededParts(self.model, seed=options.seed)

    def tensor(self, key: str) -> torch.Tensor:
        """Returns a tensor of the converted model."""
        parts = self.plan.recipes.get(key)
        if parts is None:
            tensor = self.seeded.tensor(key)
        else:
            loaded = {part: self.stored[source].load() for part, source in parts.items()}
            tensor = self.combine(loaded, shape=tuple(self.targets[key].shape))
        return tensor.detach().to(DTYPES[self.options.dtype]) if tensor.is_floating_point() else tensor.detach()

    def write_settings(
        self, folder: Path, *, processor: MicroEmoProcessor, generation_config: GenerationConfig | None
    ) -> None:
        """Writes config, generation config and processor. Called before the weights, so that errors show early."""
        self.model.config.save_pretrained(folder)
        generation = generation_config or GenerationConfig()
        generation.suppress_tokens = self.model.generation_config.suppress_tokens
        generation.save_pretrained(folder)
        processor.save_pretrained(folder)

    def write_weights(self, folder: Path, *, fingerprint: str, progress: Progress | None) -> None:
        """Writes shards and adapter and checks them."""
        dtype = DTYPES[self.options.dtype]
        sizes = {key: _bytes_of(tensor, dtype=dtype) for key, tensor in self.targets.items()}
        shards = plan_shards(sizes, max_bytes=self.options.max_shard_bytes)
        checksums = write_shards(
            folder, shards=shards, tensor_of=self.tensor, fingerprint=fingerprint, progress=progress
        )
        if self.adapter:
            write_adapter(folder, parts=self.adapter, stored=self.stored, lora_alpha=self.options.lora_alpha)
        check_weights(folder, targets=self.targets, dtype=dtype, checksums=checksums, progress=progress)

    def record(self, replaced: tuple[str, ...]) -> dict[str, object]:
        """Returns the use of all original keys, for `conversion.json`."""
        return {
            "converted": sorted(source for parts in self.plan.recipes.values() for source in parts.values()),
            "left_behind": dict(sorted(self.plan.ignored.items())),
            "given_anew_by_a_later_file": list(replaced),
            "initialised_from_the_seed": list(self.plan.missing),
            "without_lora": list(self.missing_lora),
        }


def check_shapes(
    plan: ConversionPlan,
    *,
    stored: Mapping[str, StoredTensor],
    targets: Mapping[str, torch.Tensor],
    combine: Combiner,
) -> None:
    """Raises `ValueError` with the keys whose tensors give a wrong shape. Runs on the meta device."""
    wrong = []
    for key, parts in plan.recipes.items():
        shapes = {source: stored[source].shape for source in parts.values()}
        empty = {part: torch.empty(stored[source].shape, device="meta") for part, source in parts.items()}
        expected = tuple(targets[key].shape)
        try:
            combined = tuple(combine(empty, shape=expected).shape)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{key} {expected} cannot be made of {shapes}: {error}") from error
        if combined != expected:
            wrong.append(f"{shapes} -> {key} {expected}")
    refuse(wrong, "of a shape that does not fit the configuration")


def _bytes_of(tensor: torch.Tensor, *, dtype: torch.dtype) -> int:
    return tensor.numel() * (dtype if tensor.is_floating_point() else tensor.dtype).itemsize


def _recipe(
    stored: Mapping[str, StoredTensor], *, config: MicroEmoConfig, options: ConversionOptions
) -> dict[str, object]:
    """Returns everything that determines the weights: files, config, options."""
    files = sorted({tensor.file for tensor in stored.values()})
    settings = config.to_dict()
    settings.pop("dtype", None)
    recipe_options = {name: value for name, value in asdict(options).items() if name != "strict"}
    return {
        "files": [{"name": file.name, "bytes": file.stat().st_size, "mtime": file.stat().st_mtime} for file in files],
        "options": recipe_options,
        "config": fingerprint_of(settings),
        "version": importlib.metadata.version("microemo"),
    }


def _staging_folder(target: Path, *, fingerprint: str) -> Path:
    """Returns the folder to write into. Finished shards of this conversion are kept, other content is removed."""
    staging = target.with_name(f"{target.name}.partial")
    if staging.exists() and not read_progress(staging, fingerprint=fingerprint):
        shutil.rmtree(staging)
    staging.mkdir(exist_ok=True)
    return staging


def _is_converted(target: Path, *, fingerprint: str) -> bool:
    """Whether `target` is the result of this conversion; raises `ValueError` if it is anything else."""
    record = target / RECORD_FILE
    if record.is_file() and f'"{fingerprint}"' in record.read_text(encoding="utf-8"):
        return True
    if target.exists():
        raise ValueError(f"{target} exists and is not the result of this conversion; choose another folder")
    return False
