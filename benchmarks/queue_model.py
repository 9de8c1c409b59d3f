"""How long a corpus takes on a cluster, from measured times of a clip: a queue of clips before equal workers.

Clips wait in one line; a worker takes the next one when it is free. A clip takes its time, and its bytes come over a
link that all workers share. The model answers when the last clip is done, which is what a bill counts; `bound`
says which of the two, workers or link, sets the pace.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class ClusterModel:
    """What clips are analysed on.

    workers: each does one clip at a time. start_seconds: until a worker's model is loaded. link_bytes_per_second: that
    all workers share to read clips; infinite by default, as for clips on their own disks. slowdown: how much longer a
    clip takes than alone on the machine, for workers that share caches and memory.
    """

    workers: int
    start_seconds: float = 0.0
    link_bytes_per_second: float = float("inf")
    slowdown: float = 1.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be >= 1, got {self.workers}")
        for name in ("link_bytes_per_second", "slowdown"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Prediction:
    """seconds: until the last clip is done. worker_seconds: that are paid for. bound: "workers" or "link"."""

    seconds: float
    worker_seconds: float
    bound: str

    def cost(self, *, price_an_hour: float) -> float:
        """In the currency of the price of a worker."""
        return self.worker_seconds / SECONDS_AN_HOUR * price_an_hour


def predict(
    clip_seconds: Sequence[float], cluster: ClusterModel, *, clip_bytes: Sequence[int] | None = None
) -> Prediction:
    """When all clips are done, for the time that each takes alone and in the order in which they wait.

    Args:
        clip_bytes: of each clip; None where reading costs nothing beside.
    """
    sizes = [0] * len(clip_seconds) if clip_bytes is None else clip_bytes
    if len(sizes) != len(clip_seconds):
        raise ValueError(f"clip_bytes has {len(sizes)} values for {len(clip_seconds)} clips")
    free = [cluster.start_seconds] * cluster.workers
    link_free = 0.0
    for seconds, size in zip(clip_seconds, sizes, strict=True):
        begun = heapq.heappop(free)
        read = max(begun, link_free) + size / cluster.link_bytes_per_second
        link_free = read if size else link_free
        heapq.heappush(free, read + seconds * cluster.slowdown)
    end = max(free)
    at_work = sum(clip_seconds) * cluster.slowdown / cluster.workers
    on_the_link = sum(sizes) / cluster.link_bytes_per_second
    return Prediction(end, end * cluster.workers, "link" if on_the_link > at_work else "workers")
