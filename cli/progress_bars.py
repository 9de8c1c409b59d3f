"""Progress on the terminal: the callback that long steps report to."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm


class ProgressBars:
    """Shows each stage of the work on `stream`: a bar on a terminal, else one line when a stage is first reached.

    An instance is a progress callback, called with (stage, done, total); total 0 stands for unknown. Stages may take
    turns. A bar vanishes when its stage has done all, so that a long video with many chunks leaves no trail. Use it
    as a context manager.
    """

    def __init__(self, *, stream: TextIO | None = None, enabled: bool = True) -> None:
        self._stream = stream or sys.stderr
        self._enabled = enabled
        self._bars: dict[str, tqdm] = {}
        self._announced: set[str] = set()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows that `done` of `total` steps of `stage` are done."""
        if not self._enabled:
            return
        if not self._stream.isatty():
            self._announce(stage)
            return
        if stage not in self._bars:
            self._bars[stage] = tqdm(
                desc=stage, total=total or None, file=self._stream, leave=False, dynamic_ncols=True
            )
        bar = self._bars[stage]
        bar.total = total or None
        bar.update(done - bar.n)
        if 0 < total <= done:
            self._bars.pop(stage).close()

    def _announce(self, stage: str) -> None:
        if stage not in self._announced:
            self._announced.add(stage)
            print(f"{stage} ...", file=self._stream, flush=True)

    def close(self) -> None:
        """Takes the bars away."""
        while self._bars:
            self._bars.popitem()[1].close()

    def __enter__(self) -> ProgressBars:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
