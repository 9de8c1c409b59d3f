"""`microemo synthesize`: clips with known truth from photographs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from microemo.data.identities import SPLITS
from microemo.synthesis.face.face_models import fetch_face_models
from microemo.synthesis.generate import RunSettings, generate

DESCRIPTION = """\
Makes dialogue clips from photographs of faces, with voices, expressions and micro-expressions whose every onset, apex
and offset is written beside them. Voices need espeak-ng, which Debian has as a package."""

EPILOG = """\
examples:
  microemo synthesize --count 20 --stills faces/ --out clips/
      clips/clips/*.mp4 and clips/truth.jsonl; call it again to go on after an interruption

  microemo synthesize --count 1000 --seed 1 --stills faces/ --split train --fps 30 --out train/
      people of the training split alone; another seed, other clips

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("--count", type=int, required=True, help="number of clips")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same clips (default 0)")
    parser.add_argument(
        "--stills",
        required=True,
        help="folder of photographs; with labels.csv (file, emotion, identity) people are known",
    )
    parser.add_argument(
        "--out", required=True, help="folder for clips/*.mp4 and truth.jsonl; rerun to continue a stopped run"
    )
    parser.add_argument("--split", choices=SPLITS, default="", help="only people of this split (default: all)")
    parser.add_argument("--size", type=int, default=224, help="side of the frames in pixels (default 224)")
    parser.add_argument("--fps", type=float, help="frames a second (default: drawn from 12 to 30)")
    parser.add_argument("--clean", action="store_true", help="no noise, compression, light or occlusion")
    parser.add_argument(
        "--goemotions", default="", help="folder of GoEmotions, for words (default: the package's sentences)"
    )
    parser.add_argument(
        "--recordings", nargs="+", default=[], metavar="DIR",
        help="folders of acted speech with labels.csv (RAVDESS, EmoDB), for voices",
    )  # fmt: skip
    parser.add_argument(
        "--acted-share", type=float, help="share of clips with an acted voice (default 0.5 with --recordings)"
    )
    parser.add_argument("--processes", type=int, help="default: one per core")


def run(arguments: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    share = arguments.acted_share
    if share is None:
        share = 0.5 if arguments.recordings else 0.0
    settings = RunSettings(
        count=arguments.count,
        seed=arguments.seed,
        stills=str(Path(arguments.stills).resolve()),
        split=arguments.split,
        size=arguments.size,
        fps=arguments.fps,
        augment=not arguments.clean,
        goemotions=str(Path(arguments.goemotions).resolve()) if arguments.goemotions else "",
        recordings=tuple(str(Path(folder).resolve()) for folder in arguments.recordings),
        acted_share=share,
    )
    models = fetch_face_models()
    with tqdm(total=settings.count, unit="clip", file=sys.stderr, delay=0.5) as bar:

        def show(stage: str, done: int, total: int) -> None:
            bar.update(done - bar.n)

        truth = generate(settings, out=arguments.out, models=models, processes=arguments.processes, progress=show)
    print(truth)
    return 0
