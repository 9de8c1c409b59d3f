"""From a video file to a report: `EmotionAnalyzer`, `EmotionReport`, the exports and the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microemo.inference.analyzer import EmotionAnalyzer
    from microemo.inference.corpus.tables import report_table
    from microemo.inference.report.export import save_all, save_report
    from microemo.inference.report.report import EmotionReport, UtteranceReport

# Public name -> module. They are imported on first use: reading a saved report needs no torch of its own.
_MODULES = {
    "EmotionAnalyzer": "microemo.inference.analyzer",
    "EmotionReport": "microemo.inference.report.report",
    "UtteranceReport": "microemo.inference.report.report",
    "report_table": "microemo.inference.corpus.tables",
    "save_all": "microemo.inference.report.export",
    "save_report": "microemo.inference.report.export",
}
__all__ = ["EmotionAnalyzer", "EmotionReport", "UtteranceReport", "report_table", "save_all", "save_report"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
