"""How long each stage of an analysis took."""

from __future__ import annotations

import time
from collections.abc import Callable

from microemo.inference.report.report import StageTiming

Progress = Callable[[str, int, int], None]


class StageTimer:
    """A progress callback that hands every call on and keeps the seconds of each stage.

    The time since the call before belongs to the stage that reports, for stages report after each piece of work.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now
        if self._progress is not None:
            self._progress(stage, done, total)

    def timings(self) -> tuple[StageTiming, ...]:
        """The stages in the order in which they first reported."""
        return tuple(StageTiming(stage, round(seconds, 3)) for stage, seconds in self._seconds.items())


def ignore_progress(stage: str, done: int, total: int) -> None:
    """The callback where nobody follows the progress."""
