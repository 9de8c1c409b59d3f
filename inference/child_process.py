"""Work in a process of its own: whatever a file does to it, the process that asked lives on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

ENDING_SECONDS = 5.0  # that a process gets to be gone after its pipe has closed

Load = Callable[[], Any]
Work = Callable[..., None]  # work(job, loaded=..., tell=...)


class LoadingError(ValueError):
    """What the process works with cannot be loaded."""


class ProcessDied(RuntimeError):
    """The process ended in the middle of a job."""


class TimeLimit(RuntimeError):
    """A job took too long and was ended."""


@dataclass(frozen=True)
class _Over:
    """The last message of a job."""


class ChildProcess:
    """Loads something in a new process and lets it do one job after the other.

    A job that ends its process, or that nobody waits for any more, costs one loading: a new process takes the place of
    the old one. When the parent is gone, even by kill -9, the process ends too.

    Args:
        load: makes what the jobs need; it is called in the process, so it must be importable there (a function of a
            module, or `functools.partial` of one).
        work: does a job, `work(job, loaded=..., tell=...)`, and tells its news; importable too. It raises nothing.
    """

    def __init__(self, load: Load, work: Work) -> None:
        self._load, self._work = load, work
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the parent's threads in mid-air
        self._connection, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(child, self._load, self._work), daemon=True)
        self._process.start()
        child.close()
        self._is_loaded = False

    @property
    def pid(self) -> int:
        """Of the process that is there now."""
        return self._process.pid or 0

    def run(self, job: Any, *, max_seconds: float) -> Iterator[Any]:
        """Yields what the job tells; loading does not count as its time.

        Raises:
            LoadingError: what the job needs cannot be loaded.
            ProcessDied: the process ended; the message says how.
            TimeLimit: the job took longer than `max_seconds`.
        """
        is_over = False
        try:
            self.wait_until_loaded()
            deadline = time.monotonic() + max_seconds
            try:
                self._connection.send(job)
                while True:
                    if not self._connection.poll(max(deadline - time.monotonic(), 0)):
                        raise TimeLimit(f"took longer than {max_seconds:g} s")
                    news = self._connection.recv()
                    is_over = isinstance(news, _Over)
                    if is_over:
                        return
                    yield news
            except (EOFError, OSError) as error:
                raise ProcessDied(f"the process ended with {self._ending()}") from error
        finally:
            if not is_over:
                self.stop()
                self._start()

    def wait_until_loaded(self) -> None:
        """Returns when the process is ready; raises `LoadingError` with the reason when it cannot be."""
        if self._is_loaded:
            return
        try:
            problem = self._connection.recv()
        except (EOFError, OSError) as error:
            raise LoadingError(f"the process ended with {self._ending()} while it loaded") from error
        if problem is not None:
            raise LoadingError(problem)
        self._is_loaded = True

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _ending(self) -> str:
        """Such as "signal SIGSEGV" or "exit code 1"."""
        self._process.join(ENDING_SECONDS)
        code = self._process.exitcode
        return signal_or_code(code) if code is not None else "a closed pipe"


def signal_or_code(code: int) -> str:
    """What a process's exit code means; a negative one is a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal
        return f"signal {-code}"


def _serve(connection: Connection, load: Load, work: Work) -> None:
    """The process: loads, says so, and works until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        loaded = load()
    except Exception as error:
        connection.send(str(error) or type(error).__name__)
        return
    connection.send(None)
    try:
        while True:
            work(connection.recv(), loaded=loaded, tell=connection.send)
            connection.send(_Over())
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        pass


def _end_with_parent() -> None:
    """A job that hangs would never find out by itself."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
