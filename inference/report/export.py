"""Saving a report: the file name's ending picks the format, and a file appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from microemo.inference.atomic_file import replaced_file
from microemo.inference.report.annotation_files import to_eaf, to_textgrid
from microemo.inference.report.html import to_html
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.subtitles import to_srt, to_vtt
from microemo.inference.report.tables import to_csv, to_faces_csv

Writer = Callable[[EmotionReport], str]


def _to_json(report: EmotionReport) -> str:
    return report.to_json(indent=1) + "\n"


# Ending -> writer. The longer ending stands first, since ".faces.csv" ends in ".csv" too.
WRITERS: dict[str, Writer] = {
    ".faces.csv": to_faces_csv,
    ".json": _to_json,
    ".csv": to_csv,
    ".srt": to_srt,
    ".vtt": to_vtt,
    ".html": to_html,
    ".eaf": to_eaf,
    ".TextGrid": to_textgrid,
}
PACKAGES = {".eaf": "pympi", ".TextGrid": "praatio"}  # that write these endings: the extra `annotation`


def save_report(report: EmotionReport, path: str | Path) -> Path:
    """Writes `report` to `path` in the format of its ending; missing folders are made. Returns the path.

    Raises `ValueError` for an ending that is none of `WRITERS`, `ImportError` where the format's package is missing.
    """
    path = Path(path)
    write_atomically(path, find_writer(path)(report))
    return path


def save_all(report: EmotionReport, folder: str | Path, *, stem: str) -> tuple[Path, ...]:
    """Writes `report` as `folder/stem.*` in every format whose package is installed. Returns the paths."""
    endings = [ending for ending in WRITERS if _is_installed(ending)]
    return tuple(save_report(report, Path(folder) / f"{stem}{ending}") for ending in endings)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes bytes, or text as UTF-8, so that readers see the old file or the new one, never a part."""
    with replaced_file(path) as draft:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def find_writer(path: Path) -> Writer:
    """What writes a file of this name, whose ending may be in any case; raises as `save_report`."""
    ending = next((ending for ending in WRITERS if path.name.lower().endswith(ending.lower())), None)
    if ending is None:
        raise ValueError(f"path must end in one of {', '.join(WRITERS)}, got {path.name!r}")
    if not _is_installed(ending):
        raise ImportError(f"{ending} files need the package {PACKAGES[ending]}: pip install 'microemo[annotation]'")
    return WRITERS[ending]


def _is_installed(ending: str) -> bool:
    return ending not in PACKAGES or find_spec(PACKAGES[ending]) is not None
