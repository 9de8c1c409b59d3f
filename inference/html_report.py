"""A report as one HTML file that needs nothing else: the video, a timeline to click, curves, words and evidence.

The page is `report.html` with `report.css` and `report.js` put in. All of the report's text reaches the page as JSON
and is set as text by the script, never as markup, so words of a transcript cannot act on the page.
"""

from __future__ import annotations

import base64
import html
import json
import mimetypes
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from microemo.inference.report import EmotionReport

LARGEST_EMBEDDED_BYTES = 24 * 1024 * 1024  # base64 adds a third; browsers open such pages without effort


def to_html(report: EmotionReport, *, largest_embedded_bytes: int = LARGEST_EMBEDDED_BYTES) -> str:
    """The page of `report`.

    A media file of at most `largest_embedded_bytes` is embedded; a larger one is referenced where it lies, and the
    page offers to pick the file by hand where the reference no longer leads to it.
    """
    parts = {
        "title": html.escape(f"{_display_name(report.source)} - MicroEmo"),
        "style": _resource("report.css"),
        "script": _resource("report.js"),
        "media": html.escape(_media_address(report.source, largest_embedded_bytes), quote=True),
        "report": _script_safe(json.dumps({**report.to_dict(), "name": _display_name(report.source)})),
    }
    # One pass: what is put in is never searched for further placeholders.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _resource("report.html"))


def _resource(name: str) -> str:
    return (files("microemo.inference") / name).read_text(encoding="utf-8")


def _display_name(source: str) -> str:
    return Path(urlsplit(source).path if _is_url(source) else source).name or source


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _media_address(source: str, largest_embedded_bytes: int) -> str:
    """A data address, a file address, a web address, or "" where no file can be named (arrays, bytes)."""
    if _is_url(source):
        return source
    path = Path(source)
    if not path.is_file():
        return ""
    if path.stat().st_size > largest_embedded_bytes:
        return path.resolve().as_uri()
    kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
    # Chromium refuses the name video/quicktime, although it plays the H.264 inside.
    kind = "video/mp4" if kind == "video/quicktime" else kind
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def _script_safe(text: str) -> str:
    """JSON that cannot end the script element it stands in; `json.dumps` has escaped all that is not ASCII."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
