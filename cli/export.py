"""`microemo export`: a model's folder becomes one for the Hub, and goes there when asked."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

DESCRIPTION = """\
Writes a model as the Hugging Face Hub wants it: safetensors, configs, processor, tokenizer, a model card with the
figures of the training record, and the Python files with which model and processor load where this package is not
installed. FOLDER appears when it is whole. Nothing leaves this machine without --push.
"""
EPILOG = """\
examples:
  microemo export microemo-mini-hub
      the embedded microemo-mini as a folder

  microemo export out --model runs/mine/model --record runs/mine/weights/training_record.json --licence mit
      a model of yours, with the figures of its training

  microemo export out --model microemo-7b --dtype bfloat16 --max-shard-size 4GB --push user/microemo-7b --private
      in files of 4 GB, uploaded in one commit to a private repository; needs `hf auth login` or HF_TOKEN

exit codes:
  0 exported   1 failure, such as a Hub that says no   2 wrong usage or an unusable folder   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="where to; must not exist yet. Optional with --push"
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="the model's folder; default: microemo-mini, built on first use"
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="of the weights; default: as the model has them"
    )
    parser.add_argument(
        "--max-shard-size", default="5GB", metavar="SIZE", help="largest file of weights, such as 200MB; default: 5GB"
    )
    card = parser.add_argument_group("model card")
    card.add_argument(
        "--record", type=Path, metavar="FILE", help="training_record.json with figures; default: the model's own"
    )
    card.add_argument(
        "--licence", metavar="ID", help="such as apache-2.0 or llama2; default: microemo-mini's, else not stated"
    )
    hub = parser.add_argument_group("Hub")
    hub.add_argument("--push", metavar="USER/NAME", help="upload there, in one commit")
    hub.add_argument("--private", action="store_true", help="make the repository a private one")
    hub.add_argument(
        "--revision", metavar="BRANCH", help="branch to upload to, made where it is missing; default: main"
    )
    hub.add_argument("--commit-message", metavar="TEXT", help="default: Upload a MicroEmo model")


def run(arguments: argparse.Namespace) -> int:
    """Exports, and pushes where asked; returns the exit code."""
    if arguments.folder is None and arguments.push is None:
        raise ValueError("name a FOLDER to write, or a repository with --push")
    hub_only = [name for name in ("private", "revision", "commit_message") if getattr(arguments, name)]
    if hub_only and arguments.push is None:
        raise ValueError(f"--{hub_only[0].replace('_', '-')} belongs to --push")
    if arguments.folder is not None:
        print(_export(arguments, arguments.folder))
        if arguments.push:
            print(_push(arguments, arguments.folder))
        return 0
    with tempfile.TemporaryDirectory(prefix="microemo-export-") as scratch:
        print(_push(arguments, _export(arguments, Path(scratch) / "model")))
    return 0


def _export(arguments: argparse.Namespace, folder: Path) -> Path:
    # Here, because `add_arguments` shall import nothing heavy.
    from microemo.conversion.hub.export_hub import ExportOptions, check_target, export_model
    from microemo.conversion.mini.assemble_mini import assemble_mini

    options = ExportOptions(
        dtype=arguments.dtype,
        max_shard_size=arguments.max_shard_size,
        repo_id=arguments.push,
        licence=arguments.licence,
        record=arguments.record,
    )
    check_target(folder)
    source = assemble_mini(progress=_show) if arguments.model is None else arguments.model
    return export_model(source, folder, options=options, progress=_show)


def _push(arguments: argparse.Namespace, folder: Path) -> str:
    """Returns the address of the commit."""
    from microemo.conversion.hub.push_hub import PushOptions, push_folder

    message = {"commit_message": arguments.commit_message} if arguments.commit_message else {}
    options = PushOptions(private=arguments.private or None, revision=arguments.revision, **message)
    return push_folder(folder, arguments.push, options=options).commit_url


def _show(stage: str, done: int, total: int) -> None:
    print(f"{stage} {done}/{total}", end="\n" if done == total else "\r", file=sys.stderr, flush=True)
