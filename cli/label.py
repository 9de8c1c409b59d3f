"""`microemo label`: labels for videos that have none, by several judges."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from microemo.cli.main import EXIT_BAD_INPUT, EXIT_OK

DESCRIPTION = """\
Asks several judges for the emotions of each clip, compares them by families of the emotion wheel, keeps clips on which
they agree, and leaves the others to a person (`microemo review`). The kept clips are a training file.

Judges, separated by commas: mini; a model folder or Hub id, of this package or any vision-language model;
MODEL#face, MODEL#voice, MODEL#words, one stream of a model; file:PREDICTIONS, labels by clip name. NAME= before a
judge gives it another name.
"""
EPILOG = """\
examples:
  microemo label videos/ --judges mini,owner/a-vision-language-model,file:ours.jsonl --out labels.jsonl
      labels.jsonl: what is kept; labels.review.jsonl: what a person must look at; called again, it goes on

  microemo label videos/ --judges mini#face,mini#voice,mini#words --out labels.jsonl
      the streams of one model as judges

  microemo label videos/ --judges mini,b=file:b.csv --weights mini=2 --min-agreement 0.7 --out labels.jsonl
      a weighted vote, and a stricter rule

  microemo review labels.jsonl
      the rest, on a web page

  microemo train lora --data . --set data.train.0.path=labels.jsonl
      training on what was kept

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("videos", nargs="+", metavar="VIDEOS", help="videos, sound files, or folders of them")
    parser.add_argument("--judges", required=True, metavar="JUDGE,...", help="two or more, see above")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the labels, .jsonl")
    rules = parser.add_argument_group("what is kept")
    rules.add_argument(
        "--weights", default="", metavar="JUDGE=W,...", help="weights in the vote; default: 1 for each judge"
    )
    rules.add_argument(
        "--min-agreement",
        type=float,
        default=0.5,
        metavar="A",
        help="least mean overlap of two judges' families; default: %(default)s",
    )
    rules.add_argument(
        "--max-entropy",
        type=float,
        default=0.9,
        metavar="H",
        help="greatest mean uncertainty of a family, in bits; default: %(default)s",
    )
    rules.add_argument(
        "--min-judges", type=int, default=2, metavar="N", help="that name an emotion; default: %(default)s"
    )
    models = parser.add_argument_group("judges that are models")
    models.add_argument(
        "--mode",
        choices=("scores", "explain"),
        default="scores",
        help="explain has them give reasons, which are kept with the labels and take long; default: %(default)s",
    )
    models.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: cuda where there is one, else cpu")
    models.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), help="default: float32 on the CPU")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Labels the clips; returns the exit code."""
    try:
        import krippendorff  # noqa: F401  the extra may be missing, which must not show after hours of judging
    except ImportError:
        print('microemo: error: label needs the krippendorff package: pip install "microemo[label]"', file=sys.stderr)
        return EXIT_BAD_INPUT
    from microemo.cli.progress_bars import ProgressBars
    from microemo.evaluation.labelling.agreement import judge_agreement
    from microemo.evaluation.labelling.judges import JudgeChoice, load_judges
    from microemo.evaluation.labelling.label import judge_clips, summary_lines
    from microemo.evaluation.labelling.label_files import LabelPaths, OpinionStore, ReviewFiles, find_clips
    from microemo.evaluation.labelling.votes import Rules

    paths = LabelPaths(arguments.out)
    weights = _weights(arguments.weights)
    rules = Rules(weights, arguments.min_agreement, arguments.max_entropy, arguments.min_judges)
    clips = find_clips(arguments.videos)
    choices = [JudgeChoice.parse(text.strip()) for text in arguments.judges.split(",")]
    files = ReviewFiles(paths)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        judges = load_judges(
            choices, mode=arguments.mode, device=arguments.device, dtype=arguments.dtype, progress=progress
        )
        judged = judge_clips(clips, judges, rules=rules, store=OpinionStore(paths.votes), progress=progress)
    agreement = judge_agreement([clip.votes for clip in judged])
    files.replace(judged)
    print("\n".join(summary_lines(judged, agreement, weights=weights)))
    for clip in judged:
        for vote in clip.votes:
            if vote.error:
                print(f"{clip.video}: not judged by {vote.judge}: {vote.error}", file=sys.stderr)
    print(f"wrote {paths.labels} and {paths.review}", file=sys.stderr)
    return EXIT_OK


def _weights(text: str) -> dict[str, float]:
    weights = {}
    for entry in filter(None, text.split(",")):
        name, separator, value = entry.rpartition("=")
        try:
            weights[name] = float(value)
        except ValueError as error:
            raise ValueError(f"--weights ({entry}) must be JUDGE=NUMBER") from error
        if not separator or not name:
            raise ValueError(f"--weights ({entry}) must be JUDGE=NUMBER")
    return weights
