"""The model in a process of its own: whatever a file does to it, the web server and the next visitor live on."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.child_process import ChildProcess, LoadingError, ProcessDied, TimeLimit
from microemo.spaces_demo.jobs import Failed, Job, News, work

Load = Callable[[], EmotionAnalyzer]
DIED = "The analysis broke down on this file. It has been restarted for the next visitor."
TOO_LONG = "The analysis took longer than {:.0f} s and was stopped. A shorter clip, or scores alone, goes faster."


class Worker:
    """Loads an analyzer in a new process and lets it do one job after the other.

    Args:
        load: makes the analyzer; see `ChildProcess`.
        max_seconds: for one job, loading not counted; then the process is ended and a new one started.
    """

    def __init__(self, load: Load, *, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._child = ChildProcess(load, work)

    def run(self, job: Job) -> Iterator[News]:
        """Yields the news of `job`, `Finished` or `Failed` last; whoever stops listening ends the work."""
        try:
            yield from self._child.run(job, max_seconds=self._max_seconds)
        except TimeLimit:
            yield Failed(TOO_LONG.format(self._max_seconds))
        except (ProcessDied, LoadingError):
            yield Failed(DIED)

    def wait_until_loaded(self) -> None:
        """Returns when the process is ready; raises `LoadingError` with the reason when it cannot be."""
        self._child.wait_until_loaded()

    def stop(self) -> None:
        """Ends the process."""
        self._child.stop()


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
