"""Arguments that every command which analyses clips takes, and what they are made into."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microemo.inference.corpus.settings import CorpusSettings


def add_video_arguments(group: argparse._ArgumentGroup) -> None:
    """How the videos of a command line are read."""
    group.add_argument("--transcript", metavar="FILE", help="utterances of the one VIDEO; else speech is recognised")
    add_reading_arguments(group)
    group.add_argument("--fps", type=float, metavar="RATE", help="pictures a second of VIDEOs that are folders")


def add_reading_arguments(group: argparse._ArgumentGroup) -> None:
    """How clips are read."""
    group.add_argument(
        "--language",
        metavar="LANGUAGE",
        help="of the speech and of transcripts: a code or an English name, such as de or german; default: found out",
    )
    group.add_argument(
        "--person",
        default="speaker",
        metavar="WHO",
        help="whose face to attend: speaker (default), largest, or a track number from an earlier report",
    )
    group.add_argument(
        "--speakers",
        choices=("auto", "none"),
        default="auto",
        help="auto (default) tells speakers by their voices where the transcript names none; none does not",
    )
    group.add_argument(
        "--audio-track",
        type=int,
        metavar="N",
        help="which of several audio tracks to hear, from 0; else the one in --language, else the default one",
    )


def add_mode_argument(group: argparse._ArgumentGroup) -> None:
    """Whether explanations are written."""
    group.add_argument(
        "--mode", choices=("explain", "scores"), default="explain", help="scores leaves the explanations out (faster)"
    )


def add_model_arguments(group: argparse._ArgumentGroup) -> None:
    """Which model, and where it runs."""
    group.add_argument(
        "--model", metavar="PATH_OR_ID", help="folder or Hub id; default: microemo-mini, built on first use"
    )
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: cuda where there is one, else cpu")
    group.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="default: float32 on the CPU; auto: bfloat16 where fast",
    )


def add_time_limit(group: argparse._ArgumentGroup) -> None:
    """What stops a clip that never ends."""
    group.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="for a clip of a table, then it becomes an error row; default: 300 and 20 for each second that it lasts",
    )


def corpus_settings(arguments: argparse.Namespace) -> CorpusSettings:
    """How the clips of a table are analysed."""
    from microemo.inference.corpus.settings import CorpusSettings  # needs pyarrow, which other outputs do not

    return CorpusSettings(arguments.mode, arguments.person, arguments.language, arguments.audio_track)


def analyzer_loader(arguments: argparse.Namespace) -> Callable[[], Any]:
    """Loads the model, in whatever process it is called."""
    return partial(
        load_analyzer, arguments.model, device=arguments.device, dtype=arguments.dtype, speakers=arguments.speakers
    )


def load_analyzer(model: str | None, **how: Any) -> Any:
    """The analyzer; the import is left to the process that needs it."""
    from microemo.inference.analyzer import EmotionAnalyzer  # seconds of torch

    return EmotionAnalyzer.from_pretrained(model, **how)
