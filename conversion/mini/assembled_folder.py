"""Atomically written folders that are rebuilt when their inputs change.

`assembly.json` is written last. It has a fingerprint of all inputs, and size and sha256 of every file. Fingerprint and
sizes are checked at each use, so that a folder with a missing or truncated file is rebuilt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from microemo.data.package_weights import file_sha256

MANIFEST = "assembly.json"


def fingerprint_of(recipe: dict[str, Any]) -> str:
    """Returns a hexadecimal digest of a JSON-able description."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def is_complete(folder: Path, *, fingerprint: str) -> bool:
    """Whether `folder` was assembled with this fingerprint and has every file at its full size."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["fingerprint"] != fingerprint:
            return False
        return all((folder / name).stat().st_size == file["bytes"] for name, file in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def assemble_once(
    target: Path, *, recipe: dict[str, Any], write: Callable[[Path], None], replace_unknown: bool = False
) -> Path:
    """Calls `write` unless `target` is complete for this recipe, and returns `target`.

    `write` gets an empty temporary folder, which is renamed to `target` when complete. With several processes one
    writes and the others wait.

    Raises:
        ValueError: `target` has files but no manifest, and `replace_unknown` is False.
    """
    fingerprint = fingerprint_of(recipe)
    if is_complete(target, fingerprint=fingerprint):
        return target
    if not replace_unknown:
        _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if is_complete(target, fingerprint=fingerprint):  # written by another process in the meantime
            return target
        _remove_leftovers(target)
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=_staging_prefix(target)))
        try:
            write(staging)
            _write_manifest(staging, recipe=recipe, fingerprint=fingerprint)
            staging.chmod(0o755)  # mkdtemp creates private folders
            swap_folder(staging, target=target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def swap_folder(staging: Path, *, target: Path) -> None:
    """Renames `staging` to `target` and removes the old folder. Open files of the old folder remain readable."""
    old = Path(f"{staging}-replaced")
    if target.exists():
        os.rename(target, old)
    os.rename(staging, target)
    shutil.rmtree(old, ignore_errors=True)


def _write_manifest(folder: Path, *, recipe: dict[str, Any], fingerprint: str) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in paths
    }
    manifest = {"fingerprint": fingerprint, "recipe": recipe, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_replaceable(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} must be a folder, it is a file")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise ValueError(f"{target} has files but no {MANIFEST}: it was not assembled here and is not replaced")


def _remove_leftovers(target: Path) -> None:
    """Removes temporary folders of killed processes; called with the lock held."""
    for leftover in target.parent.glob(f"{_staging_prefix(target)}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _staging_prefix(target: Path) -> str:
    return f".{target.name}.partial-"
