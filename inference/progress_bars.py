"""Progress on the terminal: the callback that long steps report to."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm


class ProgressBars:
    """Shows each stage of the work on `stream`: a bar on a terminal, else one line when a stage is first reached.

    An instance is a progress callback, called with (stage, done, total); total 0 stands for unknown. Bars vanish when
    their stage ends, so that a long video with many windows leaves no trail. Use it as a context manager.
    """

    def __init__(self, *, stream: TextIO | None = None, enabled: bool = True) -> None:
        self._stream = stream or sys.stderr
        self._enabled = enabled
        self._bar: tqdm | None = None
        self._stage: str | None = None
        self._announced: set[str] = set()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows that `done` of `total` steps of `stage` are done."""
        if not self._enabled:
            return
        if not self._stream.isatty():
            self._announce(stage)
            return
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(desc=stage, total=total or None, file=self._stream, leave=False, dynamic_ncols=True)
        self._bar.total = total or None
        self._bar.update(done - self._bar.n)

    def _announce(self, stage: str) -> None:
        if stage not in self._announced:
            self._announced.add(stage)
            print(f"{stage} ...", file=self._stream, flush=True)

    def close(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
