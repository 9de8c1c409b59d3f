"""`microemo analyze`: videos in, timelines out."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

from microemo.cli.analysis_arguments import (
    add_mode_argument,
    add_model_arguments,
    add_time_limit,
    add_video_arguments,
)
from microemo.cli.analyze_table import makes_table, table_problem
from microemo.cli.analyze_table import run as run_table
from microemo.cli.analyze_usage import STANDARD_INPUT, is_folder, usage_problem
from microemo.cli.main import EXIT_FAILURE, EXIT_OK, report_error
from microemo.cli.progress_bars import ProgressBars

if TYPE_CHECKING:
    from microemo.inference.analyzer import EmotionAnalyzer
    from microemo.inference.report.report import EmotionReport
    from microemo.processing.media_source import MediaSource

JOURNAL_ENDING = ".journal.jsonl"

DESCRIPTION = """\
Analyses videos, one after the other, with one loading of the model. For each utterance it prints time, speaker, words,
facial expression, emotions, micro-expressions, and the evidence with its times. Outputs whose weights are not trained
are named as such and not shown.
"""
EPILOG = """\
examples:
  microemo analyze clip.mp4
      words come from speech recognition, the attended face is the speaker's

  microemo analyze clip.mp4 --transcript clip.srt --out report.html
      your own utterances (SRT, VTT, TSV, JSON of any usual recogniser); one page to open in a browser

  microemo analyze *.mp4 --out results/
      every format for every video: .json .csv .faces.csv .srt .vtt .html, and .eaf (ELAN) and .TextGrid (Praat)
      with the extra `annotation`

  microemo analyze frames/ --fps 200
      a folder of numbered pictures, as corpora of micro-expressions come

  curl https://example.org/a.mp4 | microemo analyze - --json
      a video out of a pipe

  microemo analyze film.mp4 --resume work/ --out film.html
      a long video; stopped and called again, it goes on where it was

  microemo analyze clip.mp4 --json | jq '.utterances[] | [.start_seconds, .text, .expressions[0].label]'
      one JSON object a video on standard output and nothing else; progress goes to standard error

  microemo analyze *.mp4 --out corpus.parquet
      a table: a row for each clip, for each utterance, for each event of a face; errors are rows, and the exit code
      is 0 when every clip has its row. Called again after a stop, it goes on where it was

exit codes:
  0 every video analysed   1 a failure   2 wrong usage or unusable input   130 interrupted
  With several videos the others are still analysed; 1 outweighs 2.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "videos",
        nargs="*",
        metavar="VIDEO",
        help="video or audio file, web address, pipe, folder of pictures (with --fps), or - for standard input",
    )
    source = parser.add_argument_group("what to read")
    source.add_argument("--manifest", type=Path, metavar="FILE", help="clips of `microemo corpus manifest`, no VIDEOs")
    source.add_argument("--shard", metavar="NUMBER/COUNT", help="of the manifest, such as 3/16; default: all of it")
    add_video_arguments(source)
    model = parser.add_argument_group("how to analyse")
    add_mode_argument(model)
    add_model_arguments(model)
    add_time_limit(model)
    output = parser.add_argument_group("what to write")
    output.add_argument("--json", action="store_true", help="print reports as JSON, one object a line, nothing else")
    output.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="a file for one VIDEO (.json .csv .faces.csv .srt .vtt .html .eaf .TextGrid), a folder for every format, "
        "or a table (.parquet) with a row for each clip",
    )
    output.add_argument(
        "--resume",
        type=Path,
        metavar="FOLDER",
        help="keep each chunk of a long VIDEO there as it is done; the same command goes on from there after a stop",
    )
    output.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Analyses the videos; returns the exit code."""
    to_table = makes_table(arguments)
    problem = table_problem(arguments) if to_table else usage_problem(arguments)
    if problem:
        return report_error(ValueError(problem), debug=arguments.debug)
    if to_table:
        return run_table(arguments)
    codes = []
    with ProgressBars(enabled=not arguments.quiet) as progress:
        analyzer = load_analyzer(arguments, progress)
        for video in arguments.videos:
            try:
                report = _analyze(analyzer, video, arguments, progress)
                _show(report, arguments)
                codes.append(EXIT_OK)
            except BrokenPipeError:
                raise
            except Exception as error:
                progress.close()
                codes.append(report_error(error, debug=arguments.debug, subject=video))
    return EXIT_FAILURE if EXIT_FAILURE in codes else max(codes)


def load_analyzer(arguments: argparse.Namespace, progress: ProgressBars) -> EmotionAnalyzer:
    """The analyzer that the arguments of `add_model_arguments` and `add_reading_arguments` name."""
    from microemo.inference.analyzer import EmotionAnalyzer  # seconds of imports that --help must not pay

    with _quiet_libraries(enabled=not arguments.debug):
        return EmotionAnalyzer.from_pretrained(
            arguments.model,
            device=arguments.device,
            dtype=arguments.dtype,
            speakers=arguments.speakers,
            progress=progress,
        )


@contextmanager
def _quiet_libraries(*, enabled: bool) -> Iterator[None]:
    """What libraries warn their programmers of is no news for a user of the command."""
    if not enabled:
        yield
        return
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _analyze(
    analyzer: EmotionAnalyzer, video: str, arguments: argparse.Namespace, progress: ProgressBars
) -> EmotionReport:
    try:
        report = analyzer(
            media_source(video, fps=arguments.fps),
            transcript=arguments.transcript,
            mode=arguments.mode,
            person=arguments.person,
            language=arguments.language,
            audio_track=arguments.audio_track,
            journal=arguments.resume / f"{Path(video).stem}{JOURNAL_ENDING}" if arguments.resume else None,
            progress=progress,
        )
    except OSError as error:
        if isinstance(error.__cause__, (URLError, TimeoutError, ConnectionError)):
            raise ValueError(f"{video} cannot be downloaded: {_network_reason(error.__cause__)}") from error
        raise
    progress.close()
    return report


def media_source(video: str, *, fps: float | None) -> MediaSource:
    """What a VIDEO of the command line stands for."""
    if video == STANDARD_INPUT:
        return sys.stdin.buffer
    if fps is not None and Path(video).is_dir():
        from microemo.processing.frame_folder import FrameFolder  # not worth it where there is none

        return FrameFolder(video, fps=fps)
    return video


def _network_reason(error: OSError) -> str:
    """Such as "connection refused" or "HTTP Error 404: Not Found"."""
    reason = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
    strerror = reason.strerror if isinstance(reason, OSError) else None
    return strerror.lower() if strerror else str(reason)


def _show(report: EmotionReport, arguments: argparse.Namespace) -> None:
    """Writes the files and prints what was asked for."""
    from microemo.inference.report.export import save_all, save_report
    from microemo.inference.report.text_timeline import DEFAULT_WIDTH, format_timeline

    written: tuple[Path, ...] = ()
    if arguments.out and is_folder(arguments.out):
        written = save_all(report, arguments.out, stem=Path(report.source.strip("<>")).stem)
    elif arguments.out:
        written = (save_report(report, arguments.out),)
    if arguments.json:
        print(report.to_json(), flush=True)
    else:
        width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns if sys.stdout.isatty() else DEFAULT_WIDTH
        print(format_timeline(report, width=width), flush=True)
    for path in written:
        print(f"wrote {path}", file=sys.stderr)
