"""The mean of two checkpoints of one model, where each of them is better at something.

    python -m microemo.training.mean_checkpoint BEFORE AFTER OUT

Weights of one training run continued lie close enough for their mean to be a model (Wortsman et al., "Model soups",
ICML 2022). OUT is AFTER with the mean of every float that BEFORE has too, and says so in its record.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from microemo.conversion.package_weights import file_sha256
from microemo.conversion.trained_parts import RECORD


def mean_checkpoint(before: Path, after: Path, *, out: Path) -> Path:
    """Writes the mean of two checkpoint folders into `out`, which must not be there yet, and returns it."""
    if out.exists():
        raise ValueError(f"{out} is there already")
    for folder in (before, after):
        if not (folder / RECORD).is_file():
            raise ValueError(f"{folder} must be a checkpoint folder, but has no {RECORD}")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(after, partial)
    record = json.loads((partial / RECORD).read_text(encoding="utf-8"))
    for name in record["files"]:
        if (before / name).is_file():
            _write_mean(before / name, after / name, out=partial / name)
        record["files"][name] = file_sha256(partial / name)
    others = [stage["name"] for stage in json.loads((before / RECORD).read_text(encoding="utf-8")).get("stages", [])]
    record["mean_of"] = [others[-1:], [stage["name"] for stage in record["stages"]][-1:]]
    (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.rename(out)
    return out


def _write_mean(before: Path, after: Path, *, out: Path) -> None:
    earlier, later = load_file(before), load_file(after)
    means = {
        key: ((earlier[key].float() + value.float()) / 2).to(value.dtype)
        if key in earlier and value.is_floating_point() and not torch.equal(earlier[key], value)
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
