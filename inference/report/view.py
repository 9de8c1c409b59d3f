"""The view of a report in a browser: the element `<microemo-report>` and the values that it draws.

The one-file page and the demo show the same element; this module is the one place where its parts come together.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from microemo.inference.report.report import EmotionReport
from microemo.inference.report.subtitles import to_vtt

# One scope, in this order: each file uses what stands before it.
SCRIPTS = ("elements", "emotions", "player", "timeline", "cards", "view")
NOT_DRAWN = ("detection_scores", "action_units", "head_pose", "gaze")  # of a face curve; half of a page otherwise
NOTICE = (
    "A facial expression is what a face shows, not proof of what a person feels. Not for diagnosis, hiring, work or "
    "school: emotion inference at work and in education is prohibited in the EU (AI Act, Art. 5(1)(f))."
)


def element_script() -> str:
    """The script that defines `<microemo-report>`; it needs nothing else and leaves no other name behind."""
    style = json.dumps(resource("report_view.css"))
    parts = "\n".join(resource(f"report_{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\nconst STYLE = {style};\n{parts}}})();'


def view_data(report: EmotionReport) -> dict[str, Any]:
    """What the element draws: the report without the numbers it does not draw, the name to show, WebVTT captions."""
    data = report.to_dict()
    for curve in data["face_curves"]:
        for name in NOT_DRAWN:
            del curve[name]
    return {**data, "name": display_name(report.source), "captions": to_vtt(report)}


def display_name(source: str) -> str:
    """The file name in a path or web address."""
    return Path(urlsplit(source).path if is_url(source) else source).name or source


def is_url(source: str) -> bool:
    """True for addresses that a browser can load."""
    return source.startswith(("http://", "https://"))


def resource(name: str) -> str:
    """The text of a file of this package."""
    return (files("microemo.inference.report") / name).read_text(encoding="utf-8")
