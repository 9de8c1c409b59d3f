"""`microemo evaluate`: arguments and output. What computes is imported as the command runs, so that help is quick."""

import argparse
import sys
from pathlib import Path

from microemo.evaluation.score_table import FAMILIES

DESCRIPTION = """\
Compares the predictions of one or more models with reference labels: one table, a bootstrap interval on each figure,
no language model asked. The same files and seed give the same table."""

EPILOG = """\
examples:
  microemo evaluate --references truth.csv --predictions ours.csv
      every figure that the two files allow

  microemo evaluate --references truth.csv --predictions base=a.jsonl tuned=b.jsonl --output table.md
      two models side by side, also written as Markdown

  microemo evaluate --references track2.csv --predictions out-openset.npz --metrics wheel --wheels emotion_wheel/
      the challenges' own emotion wheels, read from the folder that they publish

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `microemo evaluate`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("--references", required=True, type=Path, help="true labels: .csv, .jsonl or .npz")
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        metavar="[MODEL=]FILE",
        help="predictions of each model: .csv, .jsonl, or *-openset.npz of MER2025",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=FAMILIES,
        metavar="FAMILY",
        help=f"families of figures, of {', '.join(FAMILIES)}; default: all that the files allow",
    )
    parser.add_argument(
        "--wheels", type=Path, help="folder with the challenges' wheel files; default: MicroEmo's wheel"
    )
    parser.add_argument(
        "--grouping",
        default="exact",
        help="what means the same in set-level scores: exact, wheel (families), groups:FILE.json, "
        "vectors:FILE.txt; default: %(default)s",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.6,
        help="least cosine similarity for vectors:FILE.txt; default: %(default)s",
    )
    parser.add_argument("--stored-groups", type=Path, help="folder or zip of {name}.npy, as MER2024's openset-synonym")
    parser.add_argument(
        "--missing", choices=("error", "empty"), default="error", help="clips without prediction; default: %(default)s"
    )
    parser.add_argument(
        "--confidence", type=float, default=0.95, help="of the bootstrap intervals; default: %(default)s"
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="of the bootstrap; 0 leaves intervals out; default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: %(default)s")
    parser.add_argument("--output", type=Path, action="append", default=[], help="also write .md or .json; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table, writes it where asked, and returns the exit status."""
    from microemo.evaluation.evaluate import evaluate_files
    from microemo.inference.export import write_atomically

    for path in arguments.output:
        if path.suffix not in (".md", ".json"):
            raise ValueError(f"--output ({path}) must end in .md or .json")
    table = evaluate_files(arguments)
    for path in arguments.output:
        write_atomically(path, table.to_json() if path.suffix == ".json" else table.to_markdown())
    sys.stdout.write(table.to_json() if arguments.json else table.to_markdown())
    return 0
