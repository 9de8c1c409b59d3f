"""Many reports in one picture: their mean emotions; the faces at their apexes."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image

from microemo.inference.plots.figures import OTHER_COLOUR, new_figure
from microemo.inference.report.report import EmotionReport, Thumbnail
from microemo.inference.report.report_events import ReportEvent, face_name, report_events
from microemo.inference.report.view import display_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_LABELS = 12
SHEET_COLUMNS = 6
PICTURE_INCHES = 1.7
NEAR_SECONDS = 0.1  # between a picture and the apex that it shows


def mean_emotions(reports: Sequence[EmotionReport]) -> dict[str, float]:
    """The mean probability of each emotion over the reports that have emotions, strongest first; each counts the same.

    A label that a report does not have counts as 0 there. Raises `ValueError` where no report has emotions.
    """
    known = [{each.label: each.probability for each in report.summary.emotions or ()} for report in reports]
    known = [labels for labels in known if labels]
    if not known:
        raise ValueError(f"none of {len(reports)} reports has emotions: they are untrained, or nobody speaks")
    names = dict.fromkeys(name for labels in known for name in labels)
    means = {name: sum(labels.get(name, 0.0) for labels in known) / len(known) for name in names}
    return dict(sorted(means.items(), key=lambda entry: -entry[1]))


def plot_means(reports: Sequence[EmotionReport]) -> Figure:
    """Bars of the strongest mean emotions. Raises as `mean_emotions`, `ImportError` without matplotlib."""
    means: Mapping[str, float] = dict(list(mean_emotions(reports).items())[:MAX_LABELS])
    figure = new_figure(width=6.0, height=1.0 + 0.3 * len(means))
    axes = figure.subplots()
    axes.barh(list(means), list(means.values()), color=OTHER_COLOUR)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("mean probability")
    count = sum(bool(report.summary.emotions) for report in reports)
    axes.set_title(f"emotions of {count} clip{'' if count == 1 else 's'}", loc="left")
    return figure


def plot_contact_sheet(reports: Sequence[EmotionReport]) -> Figure:
    """The reports' pictures of faces, each with its clip, person, time, and what the face shows there.

    Raises `ValueError` where there are none, `ImportError` without matplotlib.
    """
    pictures = [(report, picture) for report in reports for picture in report.thumbnails]
    if not pictures:
        raise ValueError(f"none of {len(reports)} reports has pictures of faces")
    columns = min(SHEET_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = new_figure(width=columns * PICTURE_INCHES, height=rows * (PICTURE_INCHES + 0.6))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    events = {id(report): report_events(report) for report in reports}
    for axes, (report, picture) in zip(grid, pictures, strict=False):
        axes.imshow(Image.open(io.BytesIO(base64.b64decode(picture.jpeg_base64))))
        lines = [display_name(report.source), f"{face_name(report, picture.track_id)}, {picture.seconds:.2f} s"]
        lines.append(shown_at(events[id(report)], picture))
        axes.set_title("\n".join(filter(None, lines)), fontsize=7, parse_math=False)
    return figure


def shown_at(events: Sequence[ReportEvent], picture: Thumbnail) -> str:
    """The micro-expression whose apex a picture shows, else the expression that lasts then; "" where there is none."""
    own = [event for event in events if event.track_id == picture.track_id]
    for event in own:
        if event.kind == "micro_expression" and abs((event.apex_seconds or 0.0) - picture.seconds) <= NEAR_SECONDS:
            return f"apex of {event.label or 'a micro-expression'}"
    lasting = [event for event in own if event.kind == "macro_expression"]
    inside = [event.label for event in lasting if event.start_seconds <= picture.seconds <= event.end_seconds]
    return ", ".join(inside)
