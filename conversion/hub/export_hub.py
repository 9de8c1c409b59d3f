"""Makes of a model's folder one for the Hub: code, card and weights together, loaded anywhere.

    <out>/config.json, generation_config.json          the auto_map names the code
    <out>/model.safetensors, or shards with an index
    <out>/processor_config.json, chat templates, tokenizer files
    <out>/*.py                                         model and processor, for trust_remote_code=True
    <out>/README.md                                    the model card
    <out>/training_record.json                         where there is one
    <out>/speech_recognition/, face_landmarks/, speaker_embedding/    what it reads videos with, as it was
    <out>/adapter/                                     a LoRA of its own, as it was

Tensors are copied one shard at a time, so that a model of 7 B needs the memory of a shard. The folder appears under
its name when it is whole and has been read back.
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
from microemo.conversion.timechat.lora_adapter import ADAPTER_FOLDER
from microemo.conversion.timechat.reload_check import check_settings, check_weights
from microemo.conversion.timechat.sharded_writer import PROGRESS_FILE, Progress, Shard, plan_shards, write_shards
from microemo.conversion.timechat.weight_files import read_weights
from microemo.processing.processing_microemo import MicroEmoProcessor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CARRIED_FOLDERS = (SPEECH_RECOGNITION, FACE_LANDMARKS_FOLDER, SPEAKERS, ADAPTER_FOLDER)


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    dtype: of the weights; None keeps what the config says. max_shard_size: of a file, as transformers writes sizes
    ("5GB"). repo_id: on the Hub, for the card's examples; None stands for "user/<name of the folder>". licence: id of
    the Hub; None takes that of the source, if it is known. record: a training record with figures; None takes the
    source's.
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
        """`max_shard_size` as a number."""
        return convert_file_size_to_int(self.max_shard_size)


def export_model(
    source: str | Path,
    out_dir: str | Path,
    *,
    options: ExportOptions | None = None,
    progress: Progress | None = None,
) -> Path:
    """Returns `out_dir` after writing there what the Hub needs of the model in `source`.

    Args:
        source: A model's folder with its processor: `assemble_mini()`, a training's, a conversion's, an export.
        out_dir: A folder that does not exist yet, or is empty.
        options: How to export.
        progress: Called with a stage, files done and their total.

    Raises `ValueError` when the source is no MicroEmo model, lacks weights or has foreign ones, or when `out_dir` has
    files already.
    """
    options = options or ExportOptions()
    source, target = Path(source).expanduser(), Path(out_dir).expanduser().absolute()
    check_target(target)
    export = _Export(source, options=options, name=(options.repo_id or target.name).rpartition("/")[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.partial-"))
    try:
        export.write(staging, progress=progress)
        _open_to_readers(staging)
        if target.exists():
            target.rmdir()  # it is empty, as we have seen
        os.rename(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


class _Export:
    """One model on its way out."""

    def __init__(self, source: Path, *, options: ExportOptions, name: str) -> None:
        self.source, self.options, self.name = source, options, name
        _check_source(source)
        # Without memory, but as transformers would load it: what does not match is refused.
        with quiet_transformers():
            model: Any = MicroEmoForConditionalGeneration.from_pretrained(source, device_map="meta")
        self.config, self.generation_config = model.config, model.generation_config
        self.parameters = model.num_parameters()
        self.processor = MicroEmoProcessor.from_pretrained(source)
        self.dtype = self.config.dtype if options.dtype is None else DTYPES[options.dtype]
        self.stored = read_weights(source)
        self.assembly = _assembly(source)
        self.record_file = options.record or self._own_record_file()
        self.record = TrainingRecord() if self.record_file is None else read_training_record(self.record_file)

    def write(self, folder: Path, *, progress: Progress | None) -> None:
        """Writes everything into `folder` and reads it back."""
        self._write_settings(folder)
        copy_code(folder)
        shards = self._write_weights(folder, progress=progress)
        if self.record_file is not None:
            shutil.copyfile(self.record_file, folder / RECORD)
        for name in CARRIED_FOLDERS:
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
        # Under the names that the source has: those of some towers differ on disk and in memory.
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
            licence=self.options.licence or self._own_licence(),
            record=self.record,
            sources=tuple(self.assembly.get("sources", ())),
            parameters=self.parameters,
            dtype=str(self.dtype).removeprefix("torch."),
            weight_bytes=sum(shard.num_bytes for shard in shards),
            num_files=len(shards),
            has_speech_recognition=(self.source / SPEECH_RECOGNITION).is_dir(),
            is_mini=bool(self.assembly),
        )

    def _own_licence(self) -> str | None:
        """What the source's card says; microemo-mini has none."""
        card = self.source / "README.md"
        if card.is_file():
            return ModelCard.load(card, ignore_metadata_errors=True).data.get("license")
        return MINI_LICENCE if self.assembly else None

    def _own_record_file(self) -> Path | None:
        """The training record beside the weights; that of microemo-mini is the package's own."""
        beside, packaged = self.source / RECORD, mini_checkpoint_folder() / RECORD
        if beside.is_file():
            return beside
        return packaged if self.assembly and packaged.is_file() else None


def _check_source(source: Path) -> None:
    if not (source / "config.json").is_file():
        raise ValueError(f"{source} is no model folder: it has no config.json")
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if settings.get("model_type") != MicroEmoConfig.model_type:
        raise ValueError(f"{source} holds a model of type {settings.get('model_type')!r}, not 'microemo'")
    if "quantization_config" in settings:
        raise ValueError(f"{source} holds quantized weights; export what they were made of, and quantize on loading")


def check_target(target: Path) -> None:
    """Raises `ValueError` unless `target` is free to be written: missing or empty."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} must be a folder, it is a file")
    if target.is_dir() and any(target.iterdir()):
        raise ValueError(f"{target} has files already; name a folder that does not exist yet, or is empty")


def _assembly(folder: Path) -> dict:
    """What microemo-mini was assembled of; empty for any other model."""
    path = folder / MANIFEST
    recipe = json.loads(path.read_text(encoding="utf-8")).get("recipe", {}) if path.is_file() else {}
    return recipe if recipe.get("model") == MINI else {}


def _open_to_readers(folder: Path) -> None:
    """Gives back the permissions that temporary folders and safetensors' files do not have."""
    mask = os.umask(0)
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
