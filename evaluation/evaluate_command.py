"""`microemo evaluate`: arguments and output. What computes is imported as the command runs, so that help is quick."""

import argparse
import sys
from pathlib import Path

from microemo.evaluation.score_table import FAMILIES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `microemo evaluate`."""
    parser.add_argument("--references", required=True, type=Path, help="true labels: .csv, .jsonl or .npz")
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        metavar="[MODEL=]FILE",
        help="predictions of each model: .csv, .jsonl, or *-openset.npz of MER2025",
    )
    parser.add_argument(
        "--metrics", nargs="+", choices=FAMILIES, help="families of figures; default: all that the files allow"
    )
    parser.add_argument(
        "--wheels", type=Path, help="folder with the challenges' wheel files; default: MicroEmo's wheel"
    )
    parser.add_argument(
        "--grouping",
        default="exact",
        help="what means the same in set-level scores: exact, wheel (families), groups:FILE.json, vectors:FILE.txt",
    )
    parser.add_argument("--threshold", type=float, default=0.6, help="least cosine similarity for vectors:FILE.txt")
    parser.add_argument("--stored-groups", type=Path, help="folder or zip of {name}.npy, as MER2024's openset-synonym")
    parser.add_argument("--missing", choices=("error", "empty"), default="error", help="clips without prediction")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the bootstrap intervals")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap; 0 leaves intervals out")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--output", type=Path, action="append", default=[], help="also write .md or .json; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table, writes it where asked, and returns the exit status."""
    from microemo.evaluation.evaluate import evaluate_files

    for path in arguments.output:
        if path.suffix not in (".md", ".json"):
            raise ValueError(f"--output ({path}) must end in .md or .json")
    table = evaluate_files(arguments)
    for path in arguments.output:
        path.write_text(table.to_json() if path.suffix == ".json" else table.to_markdown(), encoding="utf-8")
    sys.stdout.write(table.to_json() if arguments.json else table.to_markdown())
    return 0
