"""The folder of one running server: uploads and visitors' copies lie in it, and it goes when the server goes.

    <temporary folder>/microemo-demo-3f9a2c.lock     locked while that server lives
    <temporary folder>/microemo-demo-3f9a2c/         for its user alone
        uploads/                                     what the web server stores (Gradio's `GRADIO_TEMP_DIR`)
            tmpk2x9ab_                               one that is on its way; Gradio forgets it when a visitor hangs up
        requests/                                    copies that single requests own (`private_files`)

A server that ends by Ctrl-C, by SIGTERM (the ordinary end of a container), by SIGHUP or by an error removes its
folder. One that is killed cannot: the next server to start finds the lock free and removes the folder then.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

GRADIO_FOLDER = "GRADIO_TEMP_DIR"  # the variable by which Gradio learns where to store uploads
PREFIX = "microemo-demo-"
SILENT_SECONDS = 600.0  # an upload on its way that got no byte for so long was broken off
SWEEP_SECONDS = 60.0
ENDING_SIGNALS = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@dataclass(frozen=True)
class ServerFiles:
    """Where the web server stores uploads, and where requests keep their copies: on one file system."""

    uploads: Path
    requests: Path


@contextmanager
def server_files() -> Iterator[ServerFiles]:
    """The folders of a new server until the block ends; what killed servers left is removed first.

    They lie in the folder that `GRADIO_TEMP_DIR` names, else in the temporary folder. In the main thread the signals
    that end a program raise `KeyboardInterrupt` meanwhile, so that they leave the block as Ctrl-C does.
    """
    parent = Path(os.environ.get(GRADIO_FOLDER) or tempfile.gettempdir()).resolve()
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    folder = parent / f"{PREFIX}{secrets.token_hex(8)}"
    files = ServerFiles(folder / "uploads", folder / "requests")
    lock = FileLock(_lock_file(folder))
    with lock, _raising_signals():
        try:
            folder.mkdir(mode=0o700)
            files.uploads.mkdir()
            files.requests.mkdir()
            with _environment(GRADIO_FOLDER, str(files.uploads)), _removing_abandoned(files.uploads):
                yield files
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_file(folder).unlink(missing_ok=True)


def sweep(parent: Path) -> None:
    """Removes the folders in `parent` whose servers are gone; those of other users cannot be, and stay."""
    for lock_file in parent.glob(f"{PREFIX}*.lock"):
        with suppress(Timeout, OSError), FileLock(lock_file, timeout=0):
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)


def remove_abandoned(uploads: Path, *, silent_seconds: float = SILENT_SECONDS) -> None:
    """Removes unfinished uploads, and empty files that Gradio leaves, to which nothing was written for so long."""
    for path in uploads.glob("tmp*"):
        with suppress(FileNotFoundError):  # it has just been finished
            if path.is_file() and time.time() - path.stat().st_mtime >= silent_seconds:
                path.unlink()


@contextmanager
def _removing_abandoned(uploads: Path) -> Iterator[None]:
    is_over = threading.Event()

    def keep_clean() -> None:
        while not is_over.wait(SWEEP_SECONDS):
            remove_abandoned(uploads)

    threading.Thread(target=keep_clean, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _lock_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextmanager
def _raising_signals() -> Iterator[None]:
    """Signals that end a program raise `KeyboardInterrupt`, but for those that the caller ignores (`nohup`)."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
