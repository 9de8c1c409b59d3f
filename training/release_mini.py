"""Writes the trained weights of a finished run into the checkpoint folder of the package.

    python -m microemo.training.release_mini runs/evidence checkpoints/microemo-mini

OUT gets the weights and records that the run and its earlier stages trained: float16, one file for each group of
parts. Files with an entry of their own in the record, such as the face tower's, are not changed. OUT is replaced only
if its files fit in 40 MB and microemo-mini, assembled from them, equals the model of the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.mini.assembled_folder import swap_folder
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder, read_checkpoint
from microemo.conversion.quiet_transformers import quiet_transformers
from microemo.data.package_weights import WeightDownloadError, file_sha256
from microemo.training.parameter_groups import part_of
from microemo.training.release_check import check_release
from microemo.training.run_folder import (
    LORA_FILE,
    MODEL_FOLDER,
    TrainingStage,
    stored,
    training_stages,
)

MAX_BYTES = 40_000_000  # of all files, as they are part of every installation
FACE_PARTS = ("micro_dynamics", "global_local_attention", "face_head")
# File -> its parts. Full weights of a language model exceed `MAX_BYTES`.
RELEASE_FILES = {
    "face_dynamics.safetensors": FACE_PARTS,
    "streams.safetensors": (
        "frame_qformer",
        "video_qformer",
        "audio_qformer",
        "video_projector",
        "audio_projector",
    ),
    "heads.safetensors": ("emotion_head", "voice_head"),
    "towers.safetensors": ("frame_tower", "face_tower", "audio_tower"),
    "language_model.safetensors": ("language_model",),
}
TOP_LEVEL_ENTRIES = ("trained_parts", "reading_settings")  # of the whole record, not of a stage


def release(run: Path, *, out: Path) -> Path:
    """Writes the trained weights of `run` into `out` and returns `out`, which is unchanged if a check fails.

    Args:
        run: the folder of a finished run.
        out: a checkpoint folder to update; a new one starts as a copy of the package's.
    """
    stages = training_stages(run)
    out = out.absolute()
    source = out if (out / RECORD).is_file() else mini_checkpoint_folder()
    if source != out and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(
            f"{out} must be a checkpoint folder, or empty or new, but has no {RECORD}: it is not replaced"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-"))
    try:
        shutil.copytree(source, staging, dirs_exist_ok=True)
        update_checkpoint(staging, stages=stages)
        continued = [lora for stage in stages[:-1] for lora in stage.checkpoint.loras.values()]
        if _continues_release(stages):
            continued += read_checkpoint(source).loras.values()
        _check_assembled(staging, trained=run / MODEL_FOLDER, continued=continued)
        staging.chmod(0o755)  # mkdtemp creates private folders
        swap_folder(staging, target=out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def update_checkpoint(folder: Path, *, stages: Sequence[TrainingStage]) -> None:
    """Writes the weights that the stages trained into a checkpoint folder. Files of other parts do not change."""
    previous = read_checkpoint(folder)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    fixed_files = {record[part]["file"] for part in previous.trained_parts if "file" in record.get(part, {})}
    fixed_keys = {key for name in fixed_files for key in previous.state_dicts[name]}
    trained = {
        key: value for stage in stages for key, value in stage.checkpoint.state_dict.items() if key not in fixed_keys
    }
    loras = [lora for stage in stages for lora in stage.checkpoint.loras.values()]
    lora = loras[-1] if loras else None  # a later stage continues the LoRA of the one before (`lora.continues`)
    _check_finite(trained, lora=lora)
    weights = {key: value for key, value in previous.state_dict.items() if key not in fixed_keys} | trained
    for name, parts in RELEASE_FILES.items():
        group = {key: stored(value, dtype=torch.float16) for key, value in weights.items() if part_of(key) in parts}
        if group.keys() & trained.keys():
            save_file(group, folder / name, metadata={"format": "pt"})
    if lora is not None:
        write_lora(folder / LORA_FILE, lora=lora, dtype=torch.float16)
    paths = sorted(folder.glob("*.safetensors"))
    for path in paths:
        path.chmod(0o644)  # safetensors creates private files
    record["files"] = {path.name: file_sha256(path) for path in paths if path.name not in fixed_files}
    merged = merge_record(record, stages=stages)
    (folder / RECORD).write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    _check_size(folder)


def merge_record(record: Mapping[str, Any], *, stages: Sequence[TrainingStage]) -> dict[str, Any]:
    """Appends the stages' records to the record of a checkpoint.

    A new LoRA replaces the language part, so that only face stages of the earlier ones stay in the record; one that
    continues the released LoRA keeps all of them.
    """
    earlier = record.get("stages", [])
    if any(stage.checkpoint.loras for stage in stages) and not _continues_release(stages):
        earlier = [entry for entry in earlier if set(entry["recipe"]["parts"]["train"]) <= set(FACE_PARTS)]
    entries = [
        {
            "name": stage.folder.resolve().name,
            **{name: _without_folders(entry) for name, entry in stage.record.items() if name not in TOP_LEVEL_ENTRIES},
            "curves": _rounded(stage.record["curves"]),
        }
        for stage in stages
    ]
    declared = [
        part
        for stage in stages
        for part in stage.record["recipe"]["parts"]["declare"]
        if part in stage.record["trained_parts"]  # a run that was too short declares nothing
    ]
    return {
        **record,
        "trained_parts": list(dict.fromkeys([*record["trained_parts"], *declared])),
        "reading_settings": stages[-1].record["reading_settings"],
        "stages": [*earlier, *entries],
    }


def _continues_release(stages: Sequence[TrainingStage]) -> bool:
    """Whether the first stage trains on a LoRA; no run came before it, so the LoRA is the released one."""
    lora = stages[0].record["recipe"].get("lora") or {}
    return lora.get("continues") is not None


def _check_finite(weights: Mapping[str, torch.Tensor], *, lora: Lora | None) -> None:
    factors = {} if lora is None else {f"the LoRA of {name}": pair for name, pair in lora.factors.items()}
    for name, values in ({key: (value,) for key, value in weights.items()} | factors).items():
        if not all(stored(value, dtype=torch.float16).isfinite().all() for value in values):
            raise ValueError(f"{name} has values that are not finite in float16")


def _without_folders(entry: Any) -> Any:
    """Replaces absolute paths in an entry of a record by their last component."""
    if isinstance(entry, Mapping):
        return {name: _without_folders(inner) for name, inner in entry.items()}
    if isinstance(entry, list):
        return [_without_folders(inner) for inner in entry]
    if isinstance(entry, str) and (Path(entry).is_absolute() or entry.startswith("~")):
        return Path(entry).name
    return entry


def _rounded(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rounds curves to four significant digits, as the record is released too."""
    return [
        {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in entry.items()}
        for entry in curves
    ]


def _check_size(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    total = sum(sizes.values())
    if total > MAX_BYTES:
        table = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items())
        raise ValueError(f"the files have {total / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f}: {table}")


def _check_assembled(checkpoint_dir: Path, *, trained: Path, continued: Sequence[Lora]) -> None:
    if not (trained / "config.json").is_file():
        raise ValueError(f"the model folder {trained}, to which the released weights are compared, is missing")
    with quiet_transformers(), tempfile.TemporaryDirectory() as scratch:
        assembled = assemble_mini(out_dir=Path(scratch, "mini"), checkpoint_dir=checkpoint_dir)
        checkpoint = read_checkpoint(checkpoint_dir)
        check_release(assembled, trained=trained, checkpoint=checkpoint, continued=continued)


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns 2 with a one-line error on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.release_mini",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run, the last stage")
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint folder, such as checkpoints/microemo-mini")
    options = parser.parse_args(arguments)
    try:
        print("assembling microemo-mini with the new weights, to compare it with the run's model", file=sys.stderr)
        folder = release(options.run, out=options.out)
    except (WeightDownloadError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.name}")
    print(f"trained: {', '.join(read_checkpoint(folder).trained_parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
