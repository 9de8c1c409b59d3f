"""`microemo plot`: pictures of saved reports."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from microemo.cli.main import EXIT_OK

DESCRIPTION = """\
Draws saved reports (.json) as SVG or PNG: timelines side by side, the mean emotions of many, or the contact sheet of
their faces at apexes. A folder stands for all reports in it. Needs the extra `plot`.
"""
EPILOG = """\
examples:
  microemo plot report.json
      its timeline beside it, as report.svg

  microemo plot before.json after.json --out both.png
      two timelines side by side

  microemo plot results/ --kind means --out means.svg
      mean emotions of a folder of reports, each of which counts the same

  microemo plot report.json --kind faces --out faces.png
      the faces at the apexes of their expressions

exit codes:
  0 drawn   1 failure   2 wrong usage or an unusable file   130 interrupted
"""
KINDS = ("timeline", "means", "faces")
MAX_TIMELINES = 8  # side by side; more are too narrow for their words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT", help="report as .json, or a folder of them")
    parser.add_argument("--kind", choices=KINDS, default="timeline", help="what to draw; default: timeline")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=".svg or .png; default: the first REPORT's name, as .svg"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draws; returns the exit code."""
    from microemo.inference.plots.figures import check_name, need_matplotlib, save_figure
    from microemo.inference.plots.summary_plots import plot_contact_sheet, plot_means
    from microemo.inference.plots.timeline import plot_timeline

    need_matplotlib()
    out = arguments.out or arguments.reports[0].with_suffix(".svg")
    check_name(out)
    reports = [_read(path) for path in _files(arguments.reports)]
    if arguments.kind == "timeline" and len(reports) > MAX_TIMELINES:
        raise ValueError(
            f"--kind timeline draws at most {MAX_TIMELINES} reports, got {len(reports)}; see --kind means"
        )
    draw = {"timeline": plot_timeline, "means": plot_means, "faces": plot_contact_sheet}[arguments.kind]
    print(f"wrote {save_figure(draw(reports), out)}", file=sys.stderr)
    return EXIT_OK


def _files(paths: list[Path]) -> list[Path]:
    """The files, and of folders the .json files in order of their names."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"no such file: {path}")
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path} holds no report (.json)")
        files += inside
    return files


def _read(path: Path):
    from microemo.inference.report.report import EmotionReport

    try:
        return EmotionReport.from_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no report: {error}") from error
