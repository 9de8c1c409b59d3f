"""The timeline of a report, several reports side by side.

    words     | a row for each speaker, a bar for each utterance
    each face | a curve for each expression that is ever likely, bands at micro-expressions
    units     | a row for each action unit, bars where it acts, the darker the stronger

Times are seconds on the video's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from microemo.inference.plots.figures import COLOURS, OTHER_COLOUR, new_figure
from microemo.inference.report.report import EmotionReport, FaceCurve
from microemo.inference.report.report_events import UNIT_NAMES, ReportEvent, face_name, report_events
from microemo.inference.report.view import display_name
from microemo.processing.facial_events import BLIND_SECONDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_INCHES = 8.0
CURVE_INCHES, ROW_INCHES, MARGIN_INCHES = 1.6, 0.3, 0.6
DRAWN_PROBABILITY = 0.15  # an expression that never gets this likely has no curve
SHOWN_WORDS = 28  # characters of an utterance
BAR_HEIGHT = 0.7


def plot_timeline(reports: Sequence[EmotionReport]) -> Figure:
    """One column for each report: its utterances, each face's expressions over time, and the action units.

    Raises `ValueError` without a report, `ImportError` without matplotlib.
    """
    if not reports:
        raise ValueError("reports must be one or more, got none")
    panels = max(2 + len(report.face_curves) for report in reports)
    rows = [_row_heights(report, panels=panels) for report in reports]
    heights = [max(row[place] for row in rows) for place in range(panels)]
    figure = new_figure(width=COLUMN_INCHES * len(reports), height=sum(heights) + MARGIN_INCHES)
    grid = figure.subplots(panels, len(reports), squeeze=False, sharex="col", height_ratios=heights)
    for column, report in zip(grid.T, reports, strict=True):
        _plot_report(list(column), report)
    return figure


def _row_heights(report: EmotionReport, *, panels: int) -> list[float]:
    """Inches of the words, of each face, nothing for faces it has not, and of the units."""
    events = report_events(report)
    words, units = ({_row(each) for each in events if each.kind == kind} for kind in ("words", "action_unit"))
    faces = [CURVE_INCHES] * len(report.face_curves)
    empty = [ROW_INCHES] * (panels - 2 - len(faces))
    return [ROW_INCHES * (2 + len(words)), *faces, *empty, ROW_INCHES * (1 + len(units))]


def _plot_report(panels: list[Axes], report: EmotionReport) -> None:
    events = report_events(report)
    panels[0].set_title(display_name(report.source), loc="left")
    _plot_bars(panels[0], [event for event in events if event.kind == "words"], empty="nobody speaks")
    for axes, face in zip(panels[1:-1], report.face_curves, strict=False):
        micro = [each for each in events if each.kind == "micro_expression" and each.track_id == face.track_id]
        _plot_face(axes, face, micro, name=face_name(report, face.track_id))
    for axes in panels[1 + len(report.face_curves) : -1]:
        axes.set_axis_off()
    units = sorted((each for each in events if each.kind == "action_unit"), key=lambda each: int(each.label[2:]))
    _plot_bars(panels[-1], units, empty="no action units")
    panels[-1].set_xlabel("seconds")
    panels[-1].set_xlim(0, report.duration_seconds)


def _row(event: ReportEvent) -> str:
    return event.who if event.kind == "words" else f"{UNIT_NAMES.get(event.label, event.label)}, {event.who}"


def _plot_bars(axes: Axes, events: Sequence[ReportEvent], *, empty: str) -> None:
    """A row for each speaker or unit, a bar for each event."""
    if not events:
        axes.set_yticks([])
        axes.text(0.5, 0.5, empty, transform=axes.transAxes, ha="center", va="center", color=OTHER_COLOUR)
        return
    rows = list(dict.fromkeys(_row(event) for event in events))
    for event in events:
        place = rows.index(_row(event))
        alpha = 0.35 if event.kind == "words" else 0.3 + 0.7 * (event.score or 0.0)
        axes.barh(place, event.seconds, left=event.start_seconds, height=BAR_HEIGHT, color=OTHER_COLOUR, alpha=alpha)
        if event.kind == "words":
            words = event.label if len(event.label) <= SHOWN_WORDS else f"{event.label[: SHOWN_WORDS - 1]}…"
            # Words are no formulas: "$" would begin one.
            axes.text(event.start_seconds, place, f" {words}", va="center", fontsize=8, clip_on=True, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, fontsize=8, parse_math=False)
    axes.invert_yaxis()


def _plot_face(axes: Axes, face: FaceCurve, micro: Sequence[ReportEvent], *, name: str) -> None:
    """Curves of the expressions, which end where the face is not seen; a band and a mark for a micro-expression."""
    for curve in face.expressions or ():
        if max(curve.probabilities, default=0.0) >= DRAWN_PROBABILITY:
            times, values = _with_gaps(face.times, curve.probabilities)
            axes.plot(times, values, label=curve.label, color=COLOURS.get(curve.label, OTHER_COLOUR))
    for event in micro:
        colour = COLOURS.get(event.label, OTHER_COLOUR)
        axes.axvspan(event.start_seconds, event.end_seconds, color=colour, alpha=0.3)
        label = f"micro-expression: {event.label or 'unknown'}"
        apex = event.start_seconds if event.apex_seconds is None else event.apex_seconds
        axes.plot([apex], [1.0], marker="v", linestyle="", color=colour, label=label)
    axes.set_ylim(0, 1.05)
    axes.set_ylabel(name, parse_math=False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7, frameon=False)


def _with_gaps(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The curve with a hole wherever the face was unseen for long, over which no line is drawn."""
    drawn: tuple[list[float], list[float]] = ([], [])
    for place, (time, value) in enumerate(zip(times, values, strict=True)):
        if place and time - times[place - 1] > BLIND_SECONDS:
            drawn[0].append((time + times[place - 1]) / 2)
            drawn[1].append(float("nan"))
        drawn[0].append(time)
        drawn[1].append(value)
    return drawn
