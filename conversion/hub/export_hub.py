"""Exports a model for the Hub: a folder of code, model card and weights that loads without this package.

    <out>/config.json, generation_config.json          with the auto_map of the code
    <out>/model.safetensors, or shards with an index
    <out>/processor_config.json, chat templates, tokenizer files
    <out>/*.py                                         model and processor, for trust_remote_code=True
    <out>/README.md                                    the model card
    <out>/training_record.json                         if the source has one
    <out>/speech_recognition/, face_landmarks/, speaker_embedding/    copied from the source
    <out>/adapter/                                     a separate LoRA, copied from the source

Tensors are copied one shard at a time, so that memory use is that of one shard. The folder is written under a
temporary name, read back, and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCard
from transformers.utils.hub import convert_file_size_to_int

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.conversion.hub.model_card import MINI_LICENCE, CardFacts, model_card
from microemo.conversion.hub.model_figures import TrainingRecord, read_training_record
from microemo.conversion.hub.remote_code import (
    MODEL_AUTO_MAP,
    PROCESSOR_AUTO_MAP,
    VIDEO_PROCESSOR_AUTO_MAP,
    copy_code,
)
from microemo.conversion.mini.assemble_mini import FACE_LANDMARKS_FOLDER, SPEAKERS, SPEECH_RECOGNITION
from microemo.conversion.mini.assemble_mini import NAME as MINI
from microemo.conversion.mini.assembled_folder import MANIFEST
from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder
from microemo.conversion.quiet_transformers import quiet_transformers
from microemo.conversion.timechat.reload_check import check_settings, check_weights
from microemo.conversion.timechat.sharded_writer import PROGRESS_FILE, Progress, Shard, plan_shards, write_shards
from microemo.conversion.timechat.timechat_lora import ADAPTER_FOLDER
from microemo.conversion.timechat.weight_files import read_weights
from microemo.processing.processing_microemo import MicroEmoProcessor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
COPIED_FOLDERS = (SPEECH_RECOGNITION, FACE_LANDMARKS_FOLDER, SPEAKERS, ADAPTER_FOLDER)


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Args:
        dtype: of the weights; None keeps that of the config.
        max_shard_size: largest file size, in the notation of transformers ("5GB").
        repo_id: id on the Hub, for the examples of the card; None stands for "user/<name of the folder>".
        licence: licence id of the Hub; None takes that of the source, if known.
        record: a training record with figures; None takes that of the source.
    """

    dtype: str | None = None
    max_shard_size: str = "5GB"
    repo_id: str | None = None
    licence: str | None = None
    record: Path | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ValueError(f"dtype is {self.dtype!r}, allowed are {', '.join(DTYPES)}")
        try:
            size = convert_file_size_to_int(self.max_shard_size)
        except (ValueError, IndexError):
            size = 0
        if size <= 0:
            raise ValueError(f'max_shard_size must be a size such as "5GB" or "200MB", got {self.max_shard_size!r}')

    @property
    def max_shard_bytes(self) -> int:
        """`max_shard_size` in bytes."""
        return convert_file_size_to_int(self.max_shard_size)


def export_model(
    source: str | Path,
    out_dir: str | Path,
    *,
    options: ExportOptions | None = None,
    progress: Progress | None = None,
) -> Path:
    """Exports the model in `source` to `out_dir` and returns `out_dir`.

    Args:
        source: Folder of a model with its processor: of `assemble_mini()`, a training, a conversion or an export.
        out_dir: A folder that does not exist yet, or is empty.
        options: Options of the export.
        progress: Called with a stage, files done and their total.

    Raises:
        ValueError: the source is not a MicroEmo model, has missing or unexpected weights, or `out_dir` has files.
    """
    options = options or ExportOptions()
    source, target = Path(source).expanduser(), Path(out_dir).expanduser().absolute()
    check_target(target)
    export = _Export(source, options=options, name=(options.repo_id or target.name).rpartition("/")[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.partial-"))
    try:
        export.write(staging, progress=progress)
        _apply_umask(staging)
        if target.exists():
            target.rmdir()  # empty, see `check_target`
        os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


class _Export:
    """The export of one model."""

    def __init__(self, source: Path, *, options: ExportOptions, name: str) -> None:
        self.source, self.options, self.name = source, options, name
        _check_source(source)
        # On the meta device; missing or unexpected weights raise.
        with quiet_transformers():
            model: Any = MicroEmoForConditionalGeneration.from_pretrained(source, device_map="meta")
        self.config, self.generation_config = model.config, model.generation_config
        self.parameters = model.num_parameters()
        self.processor = MicroEmoProcessor.from_pretrained(source)
        self.dtype = self.config.dtype if options.dtype is None else DTYPES[options.dtype]
        self.stored = read_weights(source)
        self.assembly = _assembly(source)
        self.record_file = options.record or self._source_record_file()
        self.record = TrainingRecord() if self.record_file is None else read_training_record(self.record_file)

    def write(self, folder: Path, *, progress: Progress | None) -> None:
        """Writes all files into `folder` and checks them."""
        self._write_settings(folder)
        copy_code(folder)
        shards = self._write_weights(folder, progress=progress)
        if self.record_file is not None:
            shutil.copyfile(self.record_file, folder / RECORD)
        for name in COPIED_FOLDERS:
            if (self.source / name).is_dir():
                shutil.copytree(self.source / name, folder / name)
        model_card(self.config, facts=self._facts(shards)).save(folder / "README.md")
        check_settings(folder, config=self.config)

    def _write_settings(self, folder: Path) -> None:
        self.config.dtype = self.dtype
        self.config.architectures = [MicroEmoForConditionalGeneration.__name__]
        self.config.auto_map = dict(MODEL_AUTO_MAP)
        self.config.save_pretrained(folder)
        self.generation_config.save_pretrained(folder)
        processor: Any = self.processor  # transformers sets and saves this attribute without declaring it
        processor.auto_map = dict(PROCESSOR_AUTO_MAP)
        processor.video_processor.auto_map = dict(VIDEO_PROCESSOR_AUTO_MAP)
        self.processor.save_pretrained(folder)

    def _write_weights(self, folder: Path, *, progress: Progress | None) -> tuple[Shard, ...]:
        # Keys as on disk, which differ from those in memory for some towers.
        targets = {
            key: torch.empty(tensor.shape, dtype=self._dtype(tensor.dtype), device="meta")
            for key, tensor in self.stored.items()
        }
        sizes = {key: tensor.nbytes for key, tensor in targets.items()}
        shards = plan_shards(sizes, max_bytes=self.options.max_shard_bytes)
        checksums = write_shards(folder, shards=shards, tensor_of=self._tensor, fingerprint="", progress=progress)
        (folder / PROGRESS_FILE).unlink()
        check_weights(folder, targets=targets, dtype=self.dtype, checksums=checksums, progress=progress)
        return shards

    def _tensor(self, key: str) -> torch.Tensor:
        return self.stored[key].load().to(self._dtype(self.stored[key].dtype))

    def _dtype(self, stored: torch.dtype) -> torch.dtype:
        return self.dtype if stored.is_floating_point else stored

    def _facts(self, shards: tuple[Shard, ...]) -> CardFacts:
        return CardFacts(
            name=self.name,
            repo_id=self.options.repo_id or f"user/{self.name}",
            licence=self.options.licence or self._source_licence(),
            record=self.record,
            sources=tuple(self.assembly.get("sources", ())),
            parameters=self.parameters,
            dtype=str(self.dtype).removeprefix("torch."),
            weight_bytes=sum(shard.num_bytes for shard in shards),
            num_files=len(shards),
            has_speech_recognition=(self.source / SPEECH_RECOGNITION).is_dir(),
            is_mini=bool(self.assembly),
        )

    def _source_licence(self) -> str | None:
        """The licence of the source's model card; microemo-mini has no card."""
        card = self.source / "README.md"
        if card.is_file():
            return ModelCard.load(card, ignore_metadata_errors=True).data.get("license")
        return MINI_LICENCE if self.assembly else None

    def _source_record_file(self) -> Path | None:
        """The training record beside the weights; for microemo-mini that of the package."""
        beside, packaged = self.source / RECORD, mini_checkpoint_folder() / RECORD
        if beside.is_file():
            return beside
        return packaged if self.assembly and packaged.is_file() else None


def _check_source(source: Path) -> None:
    if not (source / "config.json").is_file():
        raise ValueError(f"{source} is not a model folder: it has no config.json")
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if settings.get("model_type") != MicroEmoConfig.model_type:
        raise ValueError(f"{source} holds a model of type {settings.get('model_type')!r}, not 'microemo'")
    if "quantization_config" in settings:
        raise ValueError(f"{source} holds quantized weights; export the unquantized model and quantize on loading")


def check_target(target: Path) -> None:
    """Raises `ValueError` unless `target` is missing or an empty folder."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} must be a folder, it is a file")
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(f"{target} has files already; it must be a new or empty folder")


def _assembly(folder: Path) -> dict:
    """The assembly recipe of microemo-mini; empty for any other model."""
    path = folder / MANIFEST
    recipe = json.loads(path.read_text(encoding="utf-8")).get("recipe", {}) if path.is_file() else {}
    return recipe if recipe.get("model") == MINI else {}


def _apply_umask(folder: Path) -> None:
    """Sets the usual permissions, as temporary folders and safetensors files are private."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
