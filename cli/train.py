"""`microemo train`: a recipe and labelled clips in, a model out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from microemo.cli.main import EXIT_OK

DESCRIPTION = """\
Trains a model by a recipe: a YAML file that names the model to begin with, the data sets, the parts to train and the
arguments of transformers' Trainer. The trained model can be given to the other commands by its folder.
"""
MINI, MINI_SENTENCE = "mini", "The language part of microemo-mini: words, then evidence, with all that lies between"
EPILOG = """\
examples:
  microemo train --list
      the recipes that come with the package

  microemo train my_recipe.yaml --data /data/mer2025
      paths in the recipe are below that folder

  microemo train lora --data clips --set training.max_steps=200 --set data.train.0.path=mine.jsonl
      a recipe of the package with other values

  microemo train my_recipe.yaml --resume
      go on from the last checkpoint

  microemo train mini --data data --out runs
      microemo-mini's language part, all stages; after a stop the same command goes on

  accelerate launch --num_processes 2 -m microemo.cli.main train my_recipe.yaml
      several devices

exit codes:
  0 trained   1 a failure   2 wrong usage, recipe or data   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "recipe", nargs="?", metavar="RECIPE", help="a YAML file, the name of a packaged recipe, or mini"
    )
    parser.add_argument("--list", action="store_true", help="print the packaged recipes, a line each")
    parser.add_argument("--data", type=Path, default=Path("."), metavar="FOLDER", help="what data paths are below")
    parser.add_argument("--out", metavar="FOLDER", help="where the run is kept; else as the recipe says")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value in the recipe; may be repeated"
    )
    parser.add_argument(
        "--resume", nargs="?", const=True, default=False, metavar="CHECKPOINT", help="go on from the last checkpoint"
    )


def run(arguments: argparse.Namespace) -> int:
    """Trains; returns the exit code."""
    from microemo.training.recipe import load_recipe, packaged_recipes

    if arguments.list:
        print(_recipe_table(packaged_recipes()))
        return EXIT_OK
    if arguments.recipe == MINI:
        if arguments.set or isinstance(arguments.resume, str):
            raise ValueError(f"{MINI} runs several recipes: it takes neither --set nor a checkpoint to resume from")

        from microemo.training.mini_stages import train_mini

        folder = train_mini(arguments.data, out=Path(arguments.out or "runs"), resume=arguments.resume)
        print(f"trained: {folder}", file=sys.stderr)
        return EXIT_OK
    if arguments.recipe is None:
        raise ValueError("RECIPE is missing; `microemo train --list` names the packaged ones")
    changes = [*arguments.set, *([f"training.output_dir={arguments.out}"] if arguments.out else [])]
    recipe = load_recipe(arguments.recipe, changes=changes)

    from microemo.training.train import train  # seconds of imports that a wrong recipe must not pay

    folder = train(recipe, data_root=arguments.data, resume=arguments.resume)
    print(f"trained: {folder}", file=sys.stderr)
    return EXIT_OK


def _recipe_table(names: Sequence[str]) -> str:
    """A line for mini and each packaged recipe: its name and the first sentence of the comment that it begins with."""
    folder = files("microemo.training") / "recipes"
    column = max(map(len, names)) + 2
    lines = [f"{MINI:<{column}}{MINI_SENTENCE}"]
    for name in names:
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
        sentence, _, _ = text.splitlines()[0].removeprefix("#").strip().partition(". ")
        lines.append(f"{name:<{column}}{sentence.removesuffix('.')}")
    return "\n".join(lines)
