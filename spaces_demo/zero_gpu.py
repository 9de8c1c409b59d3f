"""Analysis on a ZeroGPU Space, where a GPU is lent to one decorated call at a time; elsewhere nothing of this runs."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.spaces_demo.jobs import Failed, Finished, Job, News, work

try:
    import spaces
except ImportError:  # only Spaces have it
    spaces = None

GPU_SECONDS = 120  # a visitor's share for one clip


def is_zero_gpu() -> bool:
    """True on a Space with ZeroGPU hardware."""
    return spaces is not None and bool(os.environ.get("SPACES_ZERO_GPU"))


def gpu_runner(analyzer: EmotionAnalyzer) -> Callable[[Job], Iterator[News]]:
    """What `Worker.run` is elsewhere. ZeroGPU runs each call in a process of its own, so a crash stays in it."""

    def run(job: Job) -> Iterator[News]:  # a generator function: ZeroGPU looks for one to stream
        yield from listen(job, analyzer=analyzer)

    return run if spaces is None else spaces.GPU(duration=GPU_SECONDS)(run)


def listen(job: Job, *, analyzer: EmotionAnalyzer) -> Iterator[News]:
    """Yields the news of `job` while a thread works on it."""
    told: queue.SimpleQueue[News] = queue.SimpleQueue()
    threading.Thread(target=work, args=(job,), kwargs={"loaded": analyzer, "tell": told.put}, daemon=True).start()
    while True:
        news = told.get()
        yield news
        if isinstance(news, (Finished, Failed)):
            return
