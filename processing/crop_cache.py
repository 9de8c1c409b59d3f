"""Arrays kept on disk under a hash of what they were made from; several processes may write at once."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

CACHE_VERSION = 2  # raise when the meaning of what is stored changes
HASH_BLOCK_BYTES = 1 << 20


class CropCache:
    """A folder of .npz files. A file appears whole or not at all; a damaged one counts as missing."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays stored under `key`, or None."""
        try:
            with np.load(self._path(key), allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, EOFError):
            return None

    def store(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes beside the final name and renames: readers never see half a file, the last writer wins."""
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
            os.replace(temporary, self._path(key))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def content_hash(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def cache_key(*parts: object) -> str:
    """One hash of everything that the stored arrays depend on; the parts are told apart by their `repr`."""
    return hashlib.sha256(repr((CACHE_VERSION, *parts)).encode()).hexdigest()
