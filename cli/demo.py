"""`microemo demo`: the web page on this machine."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from microemo.cli.main import EXIT_BAD_INPUT, EXIT_OK

DESCRIPTION = """\
Serves a web page on which clips are analysed: upload, webcam or an example; the timeline grows while the model works.
The same page runs as a Hugging Face Space (folder spaces_demo/). Nothing leaves this machine, and uploads are deleted
after each answer.
"""
EPILOG = """\
examples:
  microemo demo                                   opens http://127.0.0.1:7860 in the browser
  microemo demo --model runs/mine/model           your own model
  microemo demo --host 0.0.0.0 --no-browser       for the machines of your network

exit codes:
  0 ended by Ctrl-C or SIGTERM   1 failure   2 wrong usage or unusable input
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "--model", metavar="PATH_OR_ID", help="folder or Hub id; default: MICROEMO_MODEL, else microemo-mini"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps; default: cuda where there is one, else cpu")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (default 127.0.0.1: this machine)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C; returns the exit code."""
    try:
        import gradio  # noqa: F401  the extra may be missing, and what imports it costs seconds that --help must not pay
    except ImportError:
        print('microemo: error: the demo needs Gradio: pip install "microemo[demo]"', file=sys.stderr)
        return EXIT_BAD_INPUT
    from microemo.spaces_demo.launching import launch, make_runner
    from microemo.spaces_demo.server_files import server_files
    from microemo.spaces_demo.settings import DemoSettings

    settings = DemoSettings.from_environment()
    settings = replace(settings, model=arguments.model or settings.model, device=arguments.device or settings.device)
    print("loading the model ...", file=sys.stderr, flush=True)
    with server_files() as files:
        launch(
            make_runner(settings),
            settings=settings,
            files=files,
            host=arguments.host,
            port=arguments.port,
            open_browser=not arguments.no_browser,
        )
    return EXIT_OK
