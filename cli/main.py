"""The `microemo` command: a table of subcommands, each in a module of its own."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, metadata

from microemo.inference.cpu_threads import follow_cpu_quota

EXIT_OK = 0
EXIT_FAILURE = 1  # something went wrong that the user did not cause
EXIT_BAD_INPUT = 2  # wrong usage, or a file that cannot be used; argparse's own code as well
EXIT_INTERRUPTED = 130  # Ctrl-C, as shells have it


@dataclass(frozen=True)
class Command:
    """A subcommand. Its module offers `add_arguments(parser)` and `run(arguments) -> int`.

    The module is imported only when its command is called, and `add_arguments` imports nothing heavy, so that help
    comes at once.
    """

    name: str
    module: str
    help: str


COMMANDS = (
    Command("analyze", "microemo.cli.analyze", "emotions, faces and words of videos, as a timeline"),
    Command("ask", "microemo.cli.ask", "a question about a video or its report, answered with times"),
    Command("plot", "microemo.cli.plot", "pictures of reports: timelines, mean emotions, faces at apexes"),
    Command("prompt", "microemo.cli.prompt", "what was found of a video, as a prompt for any language model"),
    Command("corpus", "microemo.cli.corpus", "many clips: a manifest, shards on many machines, one table"),
    Command("demo", "microemo.cli.demo", "the same on a web page, on this machine"),
    Command("evaluate", "microemo.cli.evaluate", "figures of predictions against reference labels"),
    Command("label", "microemo.cli.label", "labels for videos that have none, by several judges"),
    Command("review", "microemo.cli.review", "what the judges could not settle, on a web page"),
    Command("convert", "microemo.cli.convert", "original TimeChat and Video-LLaMA weights to a folder"),
    Command("export", "microemo.cli.export", "a model as a folder for the Hub, and onto it"),
    Command("train", "microemo.cli.train", "train or fine-tune a model by a recipe"),
    Command("portrait", "microemo.cli.portrait", "a photograph that says a recording"),
    Command("synthesize", "microemo.cli.synthesize", "clips with known truth, made from photographs"),
)

EPILOG = """\
examples:
  microemo analyze clip.mp4                       print the timeline
  microemo analyze clip.mp4 --out report.html     one page with video, timeline and curves
  microemo analyze --help                         everything that analyze can do

exit codes:
  0 done   1 failure   2 wrong usage or unusable input   130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (without the program's name); returns the exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    follow_cpu_quota()
    arguments = _parser(argv).parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # words may hold letters that a terminal's encoding lacks
            stream.reconfigure(errors="replace")
    try:
        return import_module(arguments.module).run(arguments)
    except KeyboardInterrupt:
        print("microemo: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:
        return report_error(error, debug=arguments.debug)


def report_error(error: Exception, *, debug: bool, subject: str | None = None) -> int:
    """Prints `error` (with its traceback when debugging) to stderr; returns the exit code that it means.

    Unusable input is what the package refuses with `ValueError`, and files that are missing or closed to the user.
    """
    from microemo.inference.report.text_timeline import printable  # --help must not pay for it

    if debug:
        traceback.print_exception(error)
    bad_input = isinstance(error, (ValueError, FileNotFoundError, IsADirectoryError, PermissionError))
    where = f"{subject}: " if subject and subject not in str(error) else ""
    hint = "" if bad_input or debug else "  (--debug shows where it happened)"
    # Names of files and what stands in them are untrusted: escape sequences in them could steer the terminal.
    lines = f"microemo: error: {where}{error or type(error).__name__}{hint}".splitlines()
    print("\n".join(map(printable, lines)), file=sys.stderr)
    return EXIT_BAD_INPUT if bad_input else EXIT_FAILURE


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for `argv`: every subcommand by name, the arguments of the called one alone."""
    parser = argparse.ArgumentParser(
        prog="microemo",
        description="Reads the emotions of a dialogue video: who spoke when, what face, voice and words show.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"microemo {metadata.version('microemo')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.help, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        subparser.set_defaults(module=command.module)
        subparser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if command.name in argv:
            import_module(command.module).add_arguments(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
