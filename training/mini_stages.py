"""Trains the whole language part of microemo-mini: `microemo train mini --data DATA --out RUNS`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from microemo.conversion.mini.assemble_mini import assemble_mini
from microemo.conversion.mini.assembled_folder import MANIFEST
from microemo.conversion.mini.trained_parts import RECORD, mini_checkpoint_folder
from microemo.data.package_weights import file_sha256
from microemo.training.language.prepare import SEED, Amounts, prepare
from microemo.training.parameter_groups import part_of
from microemo.training.recipe import load_recipe
from microemo.training.run_folder import LORA_FILE, MODEL_FOLDER, WEIGHTS_FOLDER, is_finished
from microemo.training.train import train

EMOTION_HEAD = "emotion_head"
# Evidence training runs in passes on different examples, with lower learning rates after the first one.
PASSES: tuple[tuple[str, Amounts, dict[str, float]], ...] = (
    ("evidence", Amounts(), {}),
    (
        "evidence_2",
        Amounts(composed=750, clip_questions=3, rehearsed_comments=50, rehearsed_dialogues=40),
        {"training.learning_rate": 4e-4, "parts.learning_rates.emotion_head": 3e-4},
    ),
    (
        "evidence_3",
        Amounts(
            composed=1200, clip_questions=4, first_comment=14_400, rehearsed_comments=3000, rehearsed_dialogues=900
        ),
        {"training.learning_rate": 6e-4, "parts.learning_rates.emotion_head": 3e-4},
    ),
)
LANGUAGE_PARTS = (EMOTION_HEAD, "explanations")


def train_mini(data: Path, *, out: Path, resume: bool = False) -> Path:
    """Trains the stage on words, then the passes on evidence. Returns the folder of the last run.

    `out` gets start/ (the released model without its language part), words/, sources/, and for each pass evidence.pt
    (its examples) and evidence/. Steps whose output exists are skipped.

    Args:
        data: folder of the data sets, see `language.prepare`.
        resume: an interrupted stage resumes from its last checkpoint.
    """
    data, out = data.absolute(), out.absolute()
    start, before = out / "start", out / "words"
    if not (start / MANIFEST).is_file():
        with tempfile.TemporaryDirectory() as scratch:
            checkpoint = write_perception(mini_checkpoint_folder(), out=Path(scratch, "perception"))
            assemble_mini(out_dir=start, checkpoint_dir=checkpoint)
    if not is_finished(before):
        changes = {"model.path": start, "training.output_dir": before}
        train(load_recipe("words", changes=_assigned(changes)), data_root=data, resume=resume)
    for number, (name, amounts, rates) in enumerate(PASSES):
        examples, run = out / f"{name}.pt", out / name
        if not examples.is_file():
            prepare(
                data,
                model_folder=before / MODEL_FOLDER,
                out=examples,
                cache=out / "sources",
                amounts=amounts,
                seed=SEED + number,
            )
        if not is_finished(run):
            changes = {
                "model.path": before / MODEL_FOLDER,
                "lora.continues": before / WEIGHTS_FOLDER / LORA_FILE,
                "data.train.0.path": examples,
                "training.output_dir": run,
            }
            changed = [*_assigned(changes), *(f"{key}={value}" for key, value in rates.items())]
            train(load_recipe("evidence", changes=changed), data_root=data, resume=resume)
        before = run
    return before


def write_perception(checkpoint: Path, *, out: Path) -> Path:
    """Copies a checkpoint folder without its language part: LoRA, emotion head and their entries in the record."""
    shutil.copytree(checkpoint, out)
    (out / LORA_FILE).unlink(missing_ok=True)
    for path in out.glob("*.safetensors"):
        weights = load_file(path)
        kept = {key: value for key, value in weights.items() if part_of(key) != EMOTION_HEAD}
        if not kept:
            path.unlink()
        elif len(kept) < len(weights):
            save_file(kept, path, metadata={"format": "pt"})
    record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    record["trained_parts"] = [part for part in record["trained_parts"] if part not in LANGUAGE_PARTS]
    files = (out / name for name in record.get("files", {}))
    record["files"] = {path.name: file_sha256(path) for path in files if path.is_file()}
    (out / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return out


def _assigned(values: dict[str, Path]) -> list[str]:
    """Formats values as `--set` options. A JSON string is a valid YAML string for any path."""
    return [f"{key}={json.dumps(str(value))}" for key, value in values.items()]
