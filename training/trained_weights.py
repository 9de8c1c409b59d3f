"""What a training run leaves behind: a model folder to use, and the trained weights alone with their record."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from microemo import MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.conversion.mini.assembled_folder import MANIFEST
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.trained_parts import RECORD
from microemo.data.example import Example
from microemo.training.parameter_groups import part_of
from microemo.training.recipe import Recipe

MODEL_FOLDER, ADAPTER_FOLDER, WEIGHTS_FOLDER = "model", "adapter", "weights"
WEIGHTS_FILE, LORA_FILE = "weights.safetensors", "language_model_lora.safetensors"
CARRIED_FOLDERS = (
    "speech_recognition",
    "face_landmarks",
    "speaker_embedding",
)  # of the model that training began with
RECORDED_PACKAGES = ("microemo", "torch", "transformers", "peft", "datasets", "numpy")


def save_model_folder(model: PreTrainedModel, *, processor: MicroEmoProcessor, folder: Path, origin: Path) -> None:
    """Saves a model (merged, without adapters) so that `from_pretrained` and the analyzer take it.

    Args:
        origin: the folder that training began with; its speech recognizer and landmark nets go along.
    """
    model.save_pretrained(folder)
    # A model of scores or of the face alone has all weights of the whole one where the language head is tied.
    if model.config.text_config.tie_word_embeddings:
        _rename_architecture(folder / "config.json")
    processor.save_pretrained(folder)
    for name in ("generation_config.json", *CARRIED_FOLDERS):
        source, target = origin / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file() and not target.exists():
            shutil.copy2(source, target)


def save_trained_weights(
    state_dict: Mapping[str, torch.Tensor],
    *,
    folder: Path,
    parts: Sequence[str],
    lora: Lora | None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Writes the weights of `parts` under the model's own names, and the LoRA, a file each.

    With the record beside them the folder is a checkpoint that can be laid over a model (see `trained_parts`).

    Args:
        state_dict: of the model without adapters.
        lora: None removes the file of an earlier run.
        dtype: of what is written; counters of batch norms stay whole numbers.
    """
    kept = {name: stored(value, dtype=dtype) for name, value in state_dict.items() if part_of(name) in parts}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kept, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    if lora is None:
        (folder / LORA_FILE).unlink(missing_ok=True)
    else:
        write_lora(folder / LORA_FILE, lora=lora, dtype=dtype)


def stored(value: torch.Tensor, *, dtype: torch.dtype) -> torch.Tensor:
    """A tensor on the CPU, as `dtype` where it is a float."""
    value = value.detach().cpu().contiguous()
    return value.to(dtype) if value.is_floating_point() else value


def write_record(
    folder: Path,
    *,
    recipe: Recipe,
    trained_parts: Sequence[str],
    begun_with: Mapping[str, str] | None,
    reading_settings: Mapping[str, Any],
    data: Mapping[str, str],
    curves: Sequence[Mapping[str, Any]],
) -> None:
    """Writes `training_record.json`: recipe, seed, how clips were read, hashes of the data, curves and versions.

    Args:
        begun_with: see `assembled_weights`.
    """
    record = {
        "trained_parts": list(trained_parts),
        "recipe": asdict(recipe),
        "seed": recipe.training.get("seed", 42),
        "begun_with": None if begun_with is None else dict(begun_with),
        "reading_settings": dict(reading_settings),
        "data": dict(data),
        "curves": [dict(entry) for entry in curves],
        "versions": {name: _version(name) for name in RECORDED_PACKAGES},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def assembled_weights(folder: Path) -> dict[str, str] | None:
    """The sha256 of each trained file in an assembled microemo-mini; None where the folder is another model."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    files = json.loads(manifest.read_text(encoding="utf-8"))["recipe"]["checkpoint"]
    return {name: sha256 for name, sha256 in files.items() if name != RECORD}


def examples_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of a table's labels and words, of its files' names but not of the folders that they lie in."""
    digest = hashlib.sha256()
    for row in rows:
        plain = Example.from_row(row).to_row()
        for name in ("video", "audio", "faces", "transcript"):
            plain[name] = Path(plain[name]).name if plain[name] else None
        digest.update(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode())
    return digest.hexdigest()


def _rename_architecture(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["architectures"] = [MicroEmoForConditionalGeneration.__name__]
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
