"""`microemo ask`: a question about a video or a saved report, answered with times."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from microemo.cli.main import EXIT_OK
from microemo.cli.progress_bars import ProgressBars

DESCRIPTION = """\
Answers a question about a video. How often, how long, when, which, the n-th, and what happens while something else
does are counted by code from the report: facial expressions, micro-expressions, action units (by number or name, or as
smiling, frowning, blinking, raising brows), and who speaks. The rest is asked of the model, which reads the evidence.
Each answer has its times.
"""
EPILOG = """\
examples:
  microemo ask clip.mp4 "How often does she smile while he speaks?"
      with one face attended, "she" is that person and "he" is somebody else; names of speakers are surer

  microemo ask report.json "How many micro-expressions are there?"
      a report of `microemo analyze clip.mp4 --out report.json`: answered at once, no model is loaded

  microemo ask report.json "Which action units are active in the second micro-expression?"
  microemo ask report.json "For how long does Anna smile between 3 and 10 s?" --json

  microemo ask clip.mp4 "Why does she seem relieved?"
      nothing that code can count: the model writes the answer

exit codes:
  0 answered   1 failure   2 wrong usage, or a question that cannot be answered   130 interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("source", metavar="SOURCE", help="a video, or a report as .json")
    parser.add_argument("question", metavar="QUESTION", help="in English, in quotation marks")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    video = parser.add_argument_group("how to analyse a video")
    video.add_argument("--transcript", metavar="FILE", help="its utterances; else speech is recognised")
    video.add_argument("--language", metavar="LANGUAGE", help="of the speech, such as de or german; default: detected")
    video.add_argument("--person", metavar="WHO", help="whose face: speaker (default), largest, or a track number")
    video.add_argument("--model", metavar="PATH_OR_ID", help="folder or Hub id; default: microemo-mini")
    video.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: cuda where there is one, else cpu")
    video.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Answers the question; returns the exit code."""
    path = Path(arguments.source)
    if "://" not in arguments.source and not path.exists():
        raise ValueError(f"no such file: {arguments.source}")
    answer = _ask_report(path, arguments) if path.suffix.lower() == ".json" else _ask_video(arguments)
    print(json.dumps(asdict(answer), ensure_ascii=False) if arguments.json else answer)
    return EXIT_OK


def _ask_report(path: Path, arguments: argparse.Namespace):
    from microemo.inference.questions.question import UnparsedQuestion
    from microemo.inference.report.report import EmotionReport

    given = [name for name in ("transcript", "language", "person", "model", "device") if getattr(arguments, name)]
    if given:
        raise ValueError(f"--{given[0]} belongs to a video, got the report {path}")
    try:
        return EmotionReport.from_json(path.read_text(encoding="utf-8")).ask(arguments.question)
    except UnparsedQuestion as error:
        raise ValueError(f"{error}; no model is loaded for a report: ask about the video itself") from error


def _ask_video(arguments: argparse.Namespace):
    from microemo.inference.analyzer import EmotionAnalyzer  # seconds of imports that --help must not pay
    from microemo.inference.request import AnalysisRequest

    request = AnalysisRequest(arguments.transcript, person=arguments.person or "speaker", language=arguments.language)
    with ProgressBars(enabled=not arguments.quiet) as progress:
        analyzer = EmotionAnalyzer.from_pretrained(arguments.model, device=arguments.device, progress=progress)
        answer = analyzer.ask(arguments.source, arguments.question, request, progress=progress)
        progress.close()
    return answer
