"""`microemo prompt`: the evidence of a video as a prompt for any language model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from microemo.cli.analysis_arguments import add_model_arguments, add_video_arguments
from microemo.cli.analyze import load_analyzer, media_source
from microemo.cli.analyze_usage import usage_problem
from microemo.cli.main import EXIT_OK, report_error
from microemo.cli.progress_bars import ProgressBars

if TYPE_CHECKING:
    from microemo.inference.report.report import EmotionReport

DESCRIPTION = """\
Prints what face, voice and words of a video show, utterance by utterance, with a question: a prompt that any language
model can be given. Only perception runs, no text is generated. A report that `microemo analyze --out report.json`
wrote is turned into the same prompt without any model.
"""
EPILOG = """\
examples:
  microemo prompt clip.mp4 > prompt.txt
      speech is recognised, faces and voices are read

  microemo prompt clip.mp4 --question "Is she sarcastic? Answer yes or no."
      a question of your own

  microemo prompt report.json
      from a saved report

  microemo prompt *.mp4 --json
      one JSON object a video: {"source": ..., "prompt": ...}

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="as for `microemo analyze`, or a report of it that ends in .json"
    )
    parser.add_argument("--question", metavar="TEXT", help="default: the emotions of the clip and their evidence")
    parser.add_argument("--json", action="store_true", help="print one JSON object a video: source and prompt")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_video_arguments(parser.add_argument_group("what to read"))
    add_model_arguments(parser.add_argument_group("which model perceives"))


def run(arguments: argparse.Namespace) -> int:
    """Prints the prompts; returns the exit code."""
    problem = usage_problem(
        argparse.Namespace(**{**vars(arguments), **dict.fromkeys(("out", "resume", "shard", "time_limit"))})
    )
    if problem is None and arguments.question is not None and not arguments.question.strip():
        problem = "--question must hold words, got none"
    if problem:
        return report_error(ValueError(problem), debug=arguments.debug)

    from microemo.inference.evidence_prompt import prompt_of_chunks, prompt_of_report
    from microemo.inference.request import AnalysisRequest

    request = AnalysisRequest(
        arguments.transcript, "scores", arguments.person, arguments.language, arguments.audio_track
    )
    analyzer = None
    with ProgressBars(enabled=not arguments.quiet) as progress:
        for video in arguments.videos:
            if video.lower().endswith(".json"):
                prompt = prompt_of_report(_read_report(Path(video)), question=arguments.question)
            else:
                analyzer = analyzer or load_analyzer(arguments, progress)
                chunks = tuple(
                    analyzer.perceive(media_source(video, fps=arguments.fps), request.reusable(), progress=progress)
                )
                prompt = prompt_of_chunks(chunks, question=arguments.question)
            progress.close()
            print(json.dumps({"source": video, "prompt": prompt}, ensure_ascii=False) if arguments.json else prompt)
    return EXIT_OK


def _read_report(path: Path) -> EmotionReport:
    from microemo.inference.report.report import EmotionReport

    try:
        return EmotionReport.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of text that is no JSON, too
        raise ValueError(f"VIDEO ({path}) must be a report of this version of microemo analyze: {error}") from error
