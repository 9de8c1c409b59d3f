"""The model in a process of its own: whatever a file does to it, the web server and the next visitor live on."""

from __future__ import annotations

import multiprocessing
import queue
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.spaces_demo.jobs import Failed, Finished, Job, News, work

Load = Callable[[], EmotionAnalyzer]
DIED = "The analysis broke down on this file. It has been restarted for the next visitor."
TOO_LONG = "The analysis took longer than {:.0f} s and was stopped. A shorter clip, or scores alone, goes faster."


class LoadingError(ValueError):
    """The analyzer cannot be loaded."""


class Worker:
    """Loads an analyzer in a new process and lets it do one job after the other.

    Args:
        load: makes the analyzer; it is called in the process, so it must be importable there (a function of a module,
            or `functools.partial` of one).
        max_seconds: for one job, loading not counted; then the process is ended and a new one started.
    """

    def __init__(self, load: Load, *, max_seconds: float) -> None:
        self._load = load
        self._max_seconds = max_seconds
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the server's threads in mid-air
        self._connection, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(child, self._load), daemon=True)
        self._process.start()
        child.close()
        self._is_loaded = False

    def run(self, job: Job) -> Iterator[News]:
        """Yields the news of `job`, `Finished` or `Failed` last; whoever stops listening ends the work."""
        is_over = False
        try:
            self.wait_until_loaded()
            self._connection.send(job)
            deadline = time.monotonic() + self._max_seconds
            while not is_over:
                if not self._connection.poll(max(deadline - time.monotonic(), 0)):
                    yield Failed(TOO_LONG.format(self._max_seconds))
                    return
                news = self._connection.recv()
                is_over = isinstance(news, (Finished, Failed))
                yield news
        except (EOFError, OSError, LoadingError):
            yield Failed(DIED)
        finally:
            if not is_over:
                self.stop()
                self._start()

    def wait_until_loaded(self) -> None:
        """Returns when the process is ready; raises `LoadingError` with the reason when it cannot be."""
        if self._is_loaded:
            return
        problem = self._connection.recv()
        if problem is not None:
            raise LoadingError(problem)
        self._is_loaded = True

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


class WorkerPool:
    """`count` workers; a job takes an idle one, or waits for it."""

    def __init__(self, load: Load, *, count: int, max_seconds: float) -> None:
        if count < 1:
            raise ValueError(f"count must be >= 1, got {count}")
        self._workers = [Worker(load, max_seconds=max_seconds) for _ in range(count)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def wait_until_loaded(self) -> None:
        """As `Worker.wait_until_loaded`, for all."""
        for worker in self._workers:
            worker.wait_until_loaded()

    def run(self, job: Job) -> Iterator[News]:
        """As `Worker.run`."""
        worker = self._idle.get()
        try:
            yield from worker.run(job)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.stop()


def _serve(connection: Connection, load: Load) -> None:
    """The worker's process: loads, says so, and works until the server is gone."""
    try:
        analyzer = load()
    except Exception as error:
        connection.send(str(error) or type(error).__name__)
        return
    connection.send(None)
    try:
        while True:
            work(connection.recv(), analyzer=analyzer, tell=connection.send)
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        pass
