"""`microemo review`: what the judges could not settle, decided by a person on a web page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from microemo.cli.main import EXIT_BAD_INPUT, EXIT_OK

DESCRIPTION = """\
Shows the clips that `microemo label` has left to a person, one at a time, with what each judge says. A key accepts,
edits, rejects, skips or goes back; every decision is in the files at once, so the review can be stopped at any time.
"""
EPILOG = """\
examples:
  microemo review labels.jsonl
      opens the page in the browser; accepted clips are added to labels.jsonl

exit codes:
  0 ended by Ctrl-C   1 failure   2 wrong usage or unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("labels", type=Path, metavar="LABELS", help="the --out of `microemo label`")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (default 127.0.0.1: this machine)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C; returns the exit code."""
    from microemo.evaluation.labelling.review_queue import ReviewQueue

    queue = ReviewQueue(arguments.labels)
    try:
        import gradio  # noqa: F401  the extra may be missing
    except ImportError:
        print('microemo: error: the review needs Gradio: pip install "microemo[demo]"', file=sys.stderr)
        return EXIT_BAD_INPUT
    from microemo.spaces_demo.review_page import launch_review

    launch_review(queue, host=arguments.host, port=arguments.port, open_browser=not arguments.no_browser)
    return EXIT_OK
