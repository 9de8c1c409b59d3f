"""Saving a report: the file name's ending picks the format, and a file appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path

from microemo.inference.report.html import to_html
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.subtitles import to_srt, to_vtt
from microemo.inference.report.tables import to_csv, to_faces_csv

DRAFT_ENDING = ".draft"
LEFTOVER_SECONDS = 3600.0  # no report takes so long to write


def _to_json(report: EmotionReport) -> str:
    return report.to_json(indent=1) + "\n"


# Ending -> writer. The longer ending stands first, since ".faces.csv" ends in ".csv" too.
WRITERS: dict[str, Callable[[EmotionReport], str]] = {
    ".faces.csv": to_faces_csv,
    ".json": _to_json,
    ".csv": to_csv,
    ".srt": to_srt,
    ".vtt": to_vtt,
    ".html": to_html,
}


def save_report(report: EmotionReport, path: str | Path) -> Path:
    """Writes `report` to `path` in the format of its ending; missing folders are made. Returns the path.

    Raises `ValueError` for an ending that is none of `WRITERS`.
    """
    path = Path(path)
    writer = next((writer for ending, writer in WRITERS.items() if path.name.lower().endswith(ending)), None)
    if writer is None:
        raise ValueError(f"path must end in one of {', '.join(WRITERS)}, got {path.name!r}")
    write_atomically(path, writer(report))
    return path


def save_all(report: EmotionReport, folder: str | Path, *, stem: str) -> tuple[Path, ...]:
    """Writes `report` in every format as `folder/stem.*`. Returns the paths."""
    return tuple(save_report(report, Path(folder) / f"{stem}{ending}") for ending in WRITERS)


def write_atomically(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 so that readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_drafts(path)
    # In the same folder: a rename across file systems would not be atomic.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=DRAFT_ENDING)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        os.chmod(draft, 0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _sweep_drafts(path: Path) -> None:
    """Removes old drafts of `path`, which a killed process left; a young one may be another process's."""
    for draft in path.parent.glob(f".{escape(path.name)}.*{DRAFT_ENDING}"):
        with suppress(FileNotFoundError):  # its process has just finished
            if time.time() - draft.stat().st_mtime > LEFTOVER_SECONDS:
                draft.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
