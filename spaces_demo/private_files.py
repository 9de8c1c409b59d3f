"""Visitors' files: each request owns its copies in a folder of its own, and nothing stays behind.

Gradio stores two equal uploads under one path. So a request takes a hard link of its own at once, and may remove the
stored file when it ends without taking it from under another visitor's request.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

GONE = "The file is no longer on the server; please choose it again."


@dataclass(frozen=True)
class PrivateFiles:
    """The files of one request, in `folder`, under their own names; `stored` are the uploads they came from."""

    folder: Path
    files: tuple[Path, ...] = ()
    stored: tuple[Path, ...] = ()

    def delete(self) -> None:
        """Removes every trace; may be called again."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for path in self.stored:
            path.unlink(missing_ok=True)


def new_folder(parent: Path) -> PrivateFiles:
    """An empty folder in `parent` that only this server's user can read."""
    return PrivateFiles(Path(tempfile.mkdtemp(dir=parent)))


def add(files: PrivateFiles, path: str | Path, *, uploads: Path) -> PrivateFiles:
    """`files` with a link to `path`, which is removed with them where it lies in `uploads`, the folder of uploads.

    Raises `ValueError`, in words for the visitor, when it is gone.
    """
    source, target = Path(path), files.folder / Path(path).name
    try:
        _link(source, target)
    except FileNotFoundError as error:
        raise ValueError(GONE) from error
    # Whatever else a request names, an example for one, is not the visitor's to remove.
    stored = (source,) if source.resolve().is_relative_to(uploads.resolve()) else ()
    return replace(files, files=(*files.files, target), stored=(*files.stored, *stored))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
