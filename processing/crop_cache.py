"""A disk cache of arrays, keyed by a hash of their inputs; safe for concurrent writers."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

CACHE_VERSION = 2  # increase when the meaning of the stored arrays changes
HASH_BLOCK_BYTES = 1 << 20


class CropCache:
    """A folder of .npz files. Files are written atomically; a damaged file counts as missing."""

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
        """Writes a temporary file and renames it: readers never see a partial file, the last writer wins."""
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
    """Hash of everything the stored arrays depend on; parts are distinguished by their `repr`."""
    return hashlib.sha256(repr((CACHE_VERSION, *parts)).encode()).hexdigest()
