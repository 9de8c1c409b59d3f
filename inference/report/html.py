"""A report as one HTML file that needs nothing else: the video, a timeline to click, curves, words and evidence.

The page is `report_page.html` with the element of `report_view.py` put in. All of the report's text reaches the page
as JSON and is set as text by the script, never as markup, so words of a transcript cannot act on the page.
"""

from __future__ import annotations

import base64
import html
import json
import mimetypes
import re
from pathlib import Path

from microemo.inference.report.browser_copy import browser_copy, plays_in_browsers
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.view import NOTICE, display_name, element_script, is_url, resource, view_data

LARGEST_EMBEDDED_BYTES = 24 * 1024 * 1024  # base64 adds a third; browsers open such pages without effort


def to_html(
    report: EmotionReport, *, media: str | None = None, largest_embedded_bytes: int = LARGEST_EMBEDDED_BYTES
) -> str:
    """The page of `report`.

    A media file of at most `largest_embedded_bytes` is embedded; a larger one is referenced where it lies, and the
    page offers to pick the file by hand where the reference no longer leads to it. What browsers do not play (HEVC,
    AVI, transport streams, ...) is embedded as a small H.264 copy, up to ten minutes of it.

    Args:
        media: address of the video for the page; None finds it by the report's source, "" leaves it out.
    """
    if media is None:
        media = _media_address(report.source, largest_embedded_bytes)
    parts = {
        "title": html.escape(f"{display_name(report.source)} - MicroEmo"),
        "script": element_script(),
        "media": html.escape(media, quote=True),
        "notice": html.escape(NOTICE),
        "report": _script_safe(json.dumps(view_data(report))),
    }
    # One pass: what is put in is never searched for further placeholders.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], resource("report_page.html"))


def _media_address(source: str, largest_embedded_bytes: int) -> str:
    """A data address, a file address, a web address, or "" where no file can be named (arrays, bytes)."""
    if is_url(source):
        return source
    path = Path(source)
    if not path.is_file():
        return ""
    if not plays_in_browsers(path):
        copy = browser_copy(path)
        if copy is not None and len(copy) <= largest_embedded_bytes:
            return _data_address("video/mp4", copy)
    if path.stat().st_size > largest_embedded_bytes:
        return path.resolve().as_uri()
    kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
    # Chromium refuses the name video/quicktime, although it plays the H.264 inside.
    kind = "video/mp4" if kind == "video/quicktime" else kind
    return _data_address(kind, path.read_bytes())


def _data_address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _script_safe(text: str) -> str:
    """JSON that cannot end the script element it stands in; `json.dumps` has escaped all that is not ASCII."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
