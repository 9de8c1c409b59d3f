"""Atomically written folders that are rebuilt when their inputs change.

`assembly.json` is written last. It has a fingerprint of all inputs, and size and sha256 of every file. Each use
compares them: sizes always, the sha256 of every file that is not, by size, times and inode, the one that was hashed
before (`.checked.json`), so that a good folder is not read twice. A folder with a missing or changed file is rebuilt.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from microemo.data.package_weights import file_sha256

MANIFEST = "assembly.json"
CHECKED = ".checked.json"  # file -> what `_stamp` says of it, when its sha256 was found right


def fingerprint_of(recipe: dict[str, Any]) -> str:
    """Returns a hexadecimal digest of a JSON-able description."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def is_complete(folder: Path, *, fingerprint: str) -> bool:
    """Whether `folder` was assembled with this fingerprint and every file has its original content."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["fingerprint"] != fingerprint:
            return False
        files = manifest["files"].items()
        if not all((folder / name).stat().st_size == file["bytes"] for name, file in files):
            return False
        return _has_content(folder, {name: file["sha256"] for name, file in files})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _has_content(folder: Path, hashes: dict[str, str]) -> bool:
    checked = _checked_before(folder)
    stamps = {name: _stamp(folder / name) for name in hashes}
    fresh = [name for name, stamp in stamps.items() if checked.get(name) != stamp]
    if any(file_sha256(folder / name) != hashes[name] for name in fresh):
        return False
    if fresh:
        _remember(folder, stamps)
    return True


def _remember(folder: Path, stamps: dict[str, list[int]]) -> None:
    with suppress(OSError):  # a folder that is closed to writing is hashed each time
        (folder / CHECKED).write_text(json.dumps(stamps), encoding="utf-8")


def _checked_before(folder: Path) -> dict[str, list[int]]:
    try:
        checked = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return checked if isinstance(checked, dict) else {}


def _stamp(path: Path) -> list[int]:
    """What changes with a file's content: the time of its last change of any kind is the system's, not a program's."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


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
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    if is_complete(target, fingerprint=fingerprint):
        if _leftovers(target):  # a process was killed between the renames and the removal of the old folder
            with suppress(Timeout), lock.acquire(timeout=0):
                _remove_leftovers(target)
        return target
    if not replace_unknown:
        _check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock:
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
    _remember(folder, {path.relative_to(folder).as_posix(): _stamp(path) for path in paths})
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check_replaceable(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target} must be a folder, it is a file")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise ValueError(f"{target} has files but no {MANIFEST}: it was not assembled here and is not replaced")


def _leftovers(target: Path) -> list[Path]:
    """The temporary folders of processes at work, and of killed ones."""
    return list(target.parent.glob(f"{_staging_prefix(target)}*"))


def _remove_leftovers(target: Path) -> None:
    """Removes temporary folders of killed processes; called with the lock held."""
    for leftover in _leftovers(target):
        shutil.rmtree(leftover, ignore_errors=True)


def _staging_prefix(target: Path) -> str:
    return f".{target.name}.partial-"
