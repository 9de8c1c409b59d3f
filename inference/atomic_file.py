"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

DRAFT_ENDING = ".draft"
LEFTOVER_SECONDS = 3600.0  # nothing takes so long to write


@contextmanager
def replaced_file(path: str | Path) -> Iterator[Path]:
    """A draft to write; it takes the place of `path` when the block ends well, and vanishes when it does not.

    Missing folders are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_drafts(path)
    # In the same folder: a rename across file systems would not be atomic.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=DRAFT_ENDING)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
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
