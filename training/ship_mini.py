"""Turns a finished training run into the weights that ship with the package.

    python -m microemo.training.ship_mini runs/explanations checkpoints/microemo-mini

OUT keeps the files that a part's entry in its record names, such as the face tower's, and gets what the run and those
that it began with kept, in float16, a file for each group of parts, and one record of all stages. It is replaced when
everything is right: when the files fit in 40 MB, and microemo-mini, assembled with them, is the run's own model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save_file

from microemo.conversion.assemble_mini import assemble_mini
from microemo.conversion.assembled_folder import swap_folder
from microemo.conversion.lora_files import Lora, write_lora
from microemo.conversion.package_weights import WeightDownloadError, file_sha256
from microemo.conversion.quiet_transformers import quiet_transformers
from microemo.conversion.trained_parts import RECORD, TrainedCheckpoint, mini_checkpoint_folder, read_checkpoint
from microemo.training.parameter_groups import part_of
from microemo.training.shipment_check import check_shipment
from microemo.training.trained_weights import LORA_FILE, MODEL_FOLDER, stored
from microemo.training.training_stages import TrainingStage, kept_lora, kept_weights, training_stages

MOST_BYTES = 40_000_000  # of all files: they are in the repository and in every installation
# File -> its parts. Whole weights of the language model would never fit; they are refused with the size.
SHIPPED_FILES = {
    "face_dynamics.safetensors": ("micro_dynamics", "global_local_attention", "face_head"),
    "streams.safetensors": (
        "frame_qformer",
        "video_qformer",
        "audio_qformer",
        "video_projector",
        "audio_projector",
    ),
    "heads.safetensors": ("emotion_head", "face_readout", "voice_head"),
    "towers.safetensors": ("frame_tower", "face_tower", "audio_tower"),
    "language_model.safetensors": ("language_model",),
}
NOT_OF_A_STAGE = ("trained_parts", "reading_settings")  # these the whole record has


def ship(run: Path, *, out: Path, check: bool = True) -> Path:
    """Writes the shipped weights of `run` into `out` and returns it; `out` stays as it was when anything is wrong.

    Args:
        run: the folder of a finished run.
        out: a checkpoint folder to bring up to date; a new one begins as the one that the package has.
        check: assembles microemo-mini with the weights and compares it with the run's model.
    """
    stages = training_stages(run)
    out = out.absolute()
    before = out if (out / RECORD).is_file() else mini_checkpoint_folder()
    if before != out and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ValueError(
            f"{out} must be a checkpoint folder, or empty or new, but has no {RECORD}: it is not replaced"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-"))
    try:
        shutil.copytree(before, staging, dirs_exist_ok=True)
        write_shipment(staging, stages=stages)
        checkpoint = read_checkpoint(staging)
        if check:
            _check_assembled(staging, trained=run / MODEL_FOLDER, checkpoint=checkpoint)
        staging.chmod(0o755)  # mkdtemp makes private folders
        swap_folder(staging, target=out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def write_shipment(folder: Path, *, stages: Sequence[TrainingStage]) -> None:
    """Brings a checkpoint folder up to date with what the stages trained."""
    before = read_checkpoint(folder)
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    staying = {record[part]["file"] for part in before.trained_parts if "file" in record.get(part, {})}
    built_on = _built_on(stages[0], before=before, staying=staying)
    kept = kept_weights(built_on, stages=stages)
    lora = kept_lora(built_on, stages=stages)
    _check_finite(kept, lora=lora)
    for name in staying:
        kept = _without(kept, held=before.state_dicts[name], file=name)
    written_before = {path: path.read_bytes() for path in folder.glob("*.safetensors") if path.name not in staying}
    for path in written_before:
        path.unlink()
    for name, parts in SHIPPED_FILES.items():
        group = {key: stored(value, dtype=torch.float16) for key, value in kept.items() if part_of(key) in parts}
        if group:
            save_file(group, folder / name, metadata={"format": "pt"})
    if lora is not None:
        write_lora(folder / LORA_FILE, lora=lora, dtype=torch.float16)
    _keep_unchanged(written_before)
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors makes private files
    written = {
        path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors")) if path.name not in staying
    }
    earlier = record.get("stages", []) if built_on.files else []
    merged = merge_record({**record, "files": written, "stages": earlier}, stages=stages)
    (folder / RECORD).write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    _check_size(folder)


def _keep_unchanged(before: Mapping[Path, bytes]) -> None:
    """Gives files whose weights are what they were their old bytes: metadata is written in any order, and a version
    control would keep the same weights once more."""
    for path, content in before.items():
        if path.is_file() and _same_weights(load(content), load(path.read_bytes())):
            path.write_bytes(content)


def _same_weights(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


def merge_record(record: Mapping[str, Any], *, stages: Sequence[TrainingStage]) -> dict[str, Any]:
    """The record of a checkpoint with the stages' records after those that it has; the rest of it stays."""
    last = stages[-1].record
    entries = [
        {
            "name": stage.folder.resolve().name,
            **{name: _placeless(entry) for name, entry in stage.record.items() if name not in NOT_OF_A_STAGE},
        }
        for stage in stages
    ]
    told = [{**stage, "curves": _short(stage["curves"])} for stage in [*record.get("stages", []), *entries]]
    return {
        **record,
        "trained_parts": last["trained_parts"],  # the model's, with those that training began with
        "reading_settings": last["reading_settings"],
        "stages": told,
    }


def _built_on(first: TrainingStage, *, before: TrainedCheckpoint, staying: Collection[str]) -> TrainedCheckpoint:
    """What the first stage began with, besides the files that stay.

    Raises `ValueError` where the checkpoint does not hold it any more, or the run began without what stays.
    """
    begun_with = first.record["begun_with"]
    for name in sorted({*begun_with, *staying}):
        if before.files.get(name) != begun_with.get(name):
            raise ValueError(
                f"{first.folder} did not begin with the {name} of the checkpoint, but with another or none"
            )
    names = begun_with.keys() - staying
    return replace(
        before,
        files={name: begun_with[name] for name in names},
        state_dicts={name: weights for name, weights in before.state_dicts.items() if name in names},
        loras={name: lora for name, lora in before.loras.items() if name in names},
    )


def _without(
    kept: Mapping[str, torch.Tensor], *, held: Mapping[str, torch.Tensor], file: str
) -> dict[str, torch.Tensor]:
    """The weights that a file which stays does not hold; raises `ValueError` where it holds other values."""
    for key in held.keys() & kept.keys():
        if not torch.equal(held[key].half(), kept[key].half()):
            raise ValueError(f"{file} stays, but the run has another {key}: it must be frozen")
    return {key: value for key, value in kept.items() if key not in held}


def _check_finite(weights: Mapping[str, torch.Tensor], *, lora: Lora | None) -> None:
    factors = {} if lora is None else {f"the LoRA of {name}": pair for name, pair in lora.factors.items()}
    for name, values in ({key: (value,) for key, value in weights.items()} | factors).items():
        if not all(stored(value, dtype=torch.float16).isfinite().all() for value in values):
            raise ValueError(f"{name} has values that are not finite in float16")


def _placeless(entry: Any) -> Any:
    """An entry of a record whose absolute paths, which mean nothing elsewhere, are their last names alone."""
    if isinstance(entry, Mapping):
        return {name: _placeless(inner) for name, inner in entry.items()}
    if isinstance(entry, list):
        return [_placeless(inner) for inner in entry]
    if isinstance(entry, str) and (Path(entry).is_absolute() or entry.startswith("~")):
        return Path(entry).name
    return entry


def _short(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Curves in the few digits that can be seen of them: the record is shipped, too."""
    return [
        {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in entry.items()}
        for entry in curves
    ]


def _check_size(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    total = sum(sizes.values())
    if total > MOST_BYTES:
        table = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items())
        raise ValueError(f"the files have {total / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:.0f}: {table}")


def _check_assembled(checkpoint_dir: Path, *, trained: Path, checkpoint: TrainedCheckpoint) -> None:
    if not (trained / "config.json").is_file():
        raise ValueError(f"{trained}, which the shipped weights are compared with, is missing; --unchecked goes on")
    with quiet_transformers(), tempfile.TemporaryDirectory() as scratch:
        assembled = assemble_mini(out_dir=Path(scratch, "mini"), checkpoint_dir=checkpoint_dir)
        check_shipment(assembled, trained=trained, checkpoint=checkpoint)


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.ship_mini",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run, the last stage")
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint folder, such as checkpoints/microemo-mini")
    parser.add_argument(
        "--unchecked",
        action="store_true",
        help="do not assemble the model to compare it, on a machine without the public packages",
    )
    options = parser.parse_args(arguments)
    try:
        if not options.unchecked:
            print("assembling microemo-mini with the new weights, to compare it with the run's model", file=sys.stderr)
        folder = ship(options.run, out=options.out, check=not options.unchecked)
    except (WeightDownloadError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.name}")
    print(f"trained: {', '.join(read_checkpoint(folder).trained_parts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
