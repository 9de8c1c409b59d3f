"""The mean of two checkpoints of one model, where each of them is better at something.

    python -m microemo.training.mean_checkpoint BEFORE AFTER OUT

Weights of one training run continued lie close enough for their mean to be a model (Wortsman et al., "Model soups",
ICML 2022). OUT is AFTER with the mean of every float that BEFORE has too, of each factor of a LoRA by itself, and the
last stage in its record says so ("mean_with": BEFORE's last stage).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file

from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import RECORD


def mean_checkpoint(before: Path, after: Path, *, out: Path) -> Path:
    """Writes the mean of two checkpoint folders into `out` and returns it.

    Raises `ValueError` where `out` is there already, a folder is no checkpoint, or a weight has two shapes.
    """
    if out.exists():
        raise ValueError(f"{out} is there already")
    for folder in (before, after):
        if not (folder / RECORD).is_file():
            raise ValueError(f"{folder} must be a checkpoint folder, but has no {RECORD}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.partial-") as scratch:
        partial = Path(scratch, out.name)
        shutil.copytree(after, partial)
        earlier, record = (json.loads((folder / RECORD).read_text(encoding="utf-8")) for folder in (before, partial))
        for name in record["files"]:
            if (before / name).is_file():
                _write_mean(before / name, after / name, out=partial / name)
            record["files"][name] = file_sha256(partial / name)
        record["stages"][-1]["mean_with"] = earlier["stages"][-1]["name"]
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        partial.rename(out)
    return out


def _write_mean(before: Path, after: Path, *, out: Path) -> None:
    earlier, later = load_file(before), load_file(after)
    for key in earlier.keys() & later.keys():
        if earlier[key].shape != later[key].shape:
            raise ValueError(
                f"{key} has shape {tuple(earlier[key].shape)} in {before}, {tuple(later[key].shape)} in {after}"
            )
    means = {
        key: ((earlier[key].float() + value.float()) / 2).to(value.dtype)
        if key in earlier and value.is_floating_point()
        else value
        for key, value in later.items()
    }
    with safe_open(after, framework="pt") as file:
        metadata = file.metadata()
    save_file(means, out, metadata=metadata)
    out.chmod(0o644)


def main(arguments: list[str] | None = None) -> int:
    """The command line; exits with 2 and one line on bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m microemo.training.mean_checkpoint",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    for name in ("before", "after", "out"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    options = parser.parse_args(arguments)
    try:
        print(mean_checkpoint(options.before, options.after, out=options.out))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
