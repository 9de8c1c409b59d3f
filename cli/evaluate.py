"""`microemo evaluate`: arguments and output. What computes is imported as the command runs, so that help is quick."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from microemo.evaluation.score_table import FAMILIES, REPORT_FAMILIES

if TYPE_CHECKING:
    from microemo.evaluation.score_table import ScoreTable

DESCRIPTION = """\
Measures one or more models on a labelled data set, or compares files of predictions with reference labels: one table,
a bootstrap interval on each figure, no language model asked. The same input and seed give the same table."""

EPILOG = """\
examples:
  microemo evaluate --dataset jsonl:clips/truth.jsonl,take=50 --mode explain --out table.md
      microemo-mini on your clips: every figure that their truth allows

  microemo evaluate --model runs/a/model runs/b/model --dataset ravdess:RAVDESS,split=validation --metrics closed-set
      two models side by side on recorded voices; any reader of microemo.training can be named

  microemo evaluate --dataset jsonl:clips/truth.jsonl --ablation full,no_evidence_prompt,no_soft_tokens,no_words
      what each part of the model and each stream is worth: figures side by side, and their differences

  microemo evaluate --dataset goemotions:DATA,split=dev --threshold fit:goemotions:DATA,split=train,take=2000
      thresholds fitted on other examples than those that are measured

  microemo evaluate --mode answers --dataset emobench:EMOBENCH --model microemo-mini owner/a-vision-language-model
      accuracy of every task of EmoBench, and their mean; any image-text-to-text model of transformers

  microemo evaluate --mode answers --dataset merr:MERR,tasks=emotion --predictions ours.jsonl
      closed-set answers of any model, a line each: {"name": "sample_1", "answer": "She is sad."}

  microemo evaluate --references truth.csv --predictions base=a.jsonl tuned=b.jsonl --out table.md
      files of predictions

  microemo evaluate --references track2.csv --predictions out-openset.npz --metrics wheel --wheels emotion_wheel/
      the challenges' own emotion wheels, read from the folder that they publish

With --out, what models said is kept beside the table (.predictions.jsonl): a run that was stopped goes on there.

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `microemo evaluate`."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    _add_models(parser.add_argument_group("models on a data set"))
    _add_files(parser.add_argument_group("files of predictions"))
    _add_figures(parser.add_argument_group("figures"))


def _add_models(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dataset",
        metavar="READER:PATH[,NAME=VALUE...]",
        help="examples to measure on: a reader of microemo.training (jsonl, goemotions, ravdess, mer2025, ...), where "
        "they lie, and what the reader takes (split=validation)",
    )
    group.add_argument(
        "--model",
        nargs="+",
        metavar="[NAME=]FOLDER_OR_ID",
        help="folders or Hub ids; default: microemo-mini, built on first use; with --mode answers any "
        "vision-language model too",
    )
    group.add_argument(
        "--mode",
        choices=("scores", "explain", "answers"),
        default="scores",
        help="explain has explanations written, which takes long; answers has the data set's own questions answered "
        "(emobench, merr with tasks=emotion), by models of any kind or in --predictions; default: %(default)s",
    )
    group.add_argument("--take", type=int, metavar="N", help="the first N examples alone")
    group.add_argument(
        "--ablation",
        type=lambda text: text.split(","),
        default=["full"],
        metavar="NAME,...",
        help="of full, no_evidence_prompt, no_soft_tokens, no_global_local_attention, no_local_branch, "
        "no_utterance_qformer, window_2s, no_audio, no_words, no_faces, no_pictures, eight_frames; each is a column, "
        "and differences are from the first",
    )
    group.add_argument(
        "--threshold",
        default="0.5",
        metavar="P|fit:READER:PATH...",
        help="probability from which an emotion counts as given, or examples to fit one for each label on; "
        "default: %(default)s",
    )
    group.add_argument(
        "--reading",
        nargs="+",
        default=[],
        metavar="NAME=NUMBER",
        help="how densely clips are read, where it shall differ from the model's own: face_fps=30, num_frames=64, ...",
    )
    group.add_argument("--clip-cache", type=Path, metavar="FOLDER", help="keeps what was read of the clips")
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: cuda where there is one, else cpu")
    group.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32 on the CPU")
    group.add_argument("--quiet", action="store_true", help="no progress")


def _add_files(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--references", type=Path, help="true labels: .csv, .jsonl or .npz")
    group.add_argument(
        "--predictions",
        nargs="+",
        metavar="[MODEL=]FILE",
        help="predictions of each model: .csv, .jsonl, or *-openset.npz of MER2025",
    )
    group.add_argument("--stored-groups", type=Path, help="folder or zip of {name}.npy, as MER2024's openset-synonym")
    group.add_argument(
        "--missing", choices=("error", "empty"), default="error", help="clips without prediction; default: %(default)s"
    )


def _add_figures(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--metrics",
        nargs="+",
        choices=REPORT_FAMILIES,
        metavar="FAMILY",
        help=f"families of figures: {', '.join(REPORT_FAMILIES)}; files of predictions have {', '.join(FAMILIES)}; "
        "default: all that the input allows",
    )
    group.add_argument(
        "--wheels", type=Path, help="folder with the challenges' wheel files; default: MicroEmo's wheel"
    )
    group.add_argument(
        "--grouping",
        default="exact",
        help="what means the same in set-level scores: exact, wheel (families), groups:FILE.json, "
        "vectors:FILE.txt; default: %(default)s",
    )
    group.add_argument(
        "--similarity",
        type=float,
        default=0.6,
        help="least cosine similarity for vectors:FILE.txt; default: %(default)s",
    )
    group.add_argument(
        "--confidence", type=float, default=0.95, help="of the bootstrap intervals; default: %(default)s"
    )
    group.add_argument(
        "--resamples", type=int, default=1000, help="of the bootstrap; 0 leaves intervals out; default: %(default)s"
    )
    group.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: %(default)s")
    group.add_argument(
        "--out",
        "--output",
        dest="output",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also write .md or .json; repeatable",
    )
    group.add_argument("--json", action="store_true", help="print JSON in place of Markdown")


def run(arguments: argparse.Namespace) -> int:
    """Prints the table, writes it where asked, and returns the exit status."""
    from microemo.inference.report.export import write_atomically

    for path in arguments.output:
        if path.suffix not in (".md", ".json"):
            raise ValueError(f"--out ({path}) must end in .md or .json")
    table = _table(arguments)
    for path in arguments.output:
        write_atomically(path, table.to_json() if path.suffix == ".json" else table.to_markdown())
    sys.stdout.write(table.to_json() if arguments.json else table.to_markdown())
    return 0


def _table(arguments: argparse.Namespace) -> ScoreTable:
    """The table of models, or of files: which of the two is meant shows in the arguments."""
    from microemo.evaluation.evaluate import evaluate_files

    if arguments.mode == "answers":
        from microemo.cli.progress_bars import ProgressBars
        from microemo.evaluation.evaluate_answers import evaluate_answers

        with ProgressBars(enabled=not arguments.quiet) as progress:
            return evaluate_answers(arguments, progress=progress)
    of_files = [name for name in ("references", "predictions") if getattr(arguments, name)]
    if arguments.dataset and not of_files:
        from microemo.cli.progress_bars import ProgressBars
        from microemo.evaluation.evaluate_models import evaluate_models

        with ProgressBars(enabled=not arguments.quiet) as progress:
            return evaluate_models(arguments, progress=progress)
    if len(of_files) == 2 and not arguments.dataset and not arguments.model:
        return evaluate_files(arguments)
    raise ValueError("give either --dataset (and --model), or --references and --predictions")
