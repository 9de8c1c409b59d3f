"""Visitors' files: each request owns its copies in a folder of its own, and nothing stays behind.

Gradio stores two equal uploads under one path. So a request takes a hard link of its own at once, and may remove the
stored file when it ends without taking it from under another visitor's request.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GONE = "The file is no longer on the server; please choose it again."


@dataclass(frozen=True)
class PrivateFiles:
    """The files of one request, in `folder`, under their own names; `stored` are the places they came from."""

    folder: Path
    files: tuple[Path, ...]
    stored: tuple[Path, ...]

    def delete(self) -> None:
        """Removes every trace; may be called again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in self.stored:
            path.unlink(missing_ok=True)


def take(paths: Sequence[str | Path]) -> PrivateFiles:
    """Links the uploaded `paths` into a new folder that only this server's user can read.

    Raises `ValueError`, in words for the visitor, when one of them is gone.
    """
    stored = tuple(Path(path) for path in paths)
    folder = Path(tempfile.mkdtemp(prefix="microemo-demo-"))
    taken = PrivateFiles(folder, tuple(folder / path.name for path in stored), stored)
    try:
        for source, target in zip(stored, taken.files, strict=True):
            _link(source, target)
    except FileNotFoundError as error:
        taken.delete()
        raise ValueError(GONE) from error
    return taken


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
