"""Prefetches items of an iterator in a background thread: frames are decoded while faces are detected."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yields the items of `items`, one ahead: while the caller uses one, one is queued and one is being produced.

    An exception is raised where its item would have come. A caller that may stop early must close the generator
    (`contextlib.closing`). Closing waits for the thread; only then may the source of `items` be closed.
    """
    results: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=1)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, results, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = results.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only together with an error
            del item  # do not hold it while waiting for the next
    finally:
        stop.set()
        while thread.is_alive():
            _drain(results)
            thread.join(timeout=0.01)


def _produce(items: Iterator[Item], results: queue.Queue, stop: threading.Event) -> None:
    try:
        for item in items:
            if stop.is_set():
                return
            results.put((item, None))
            del item
    except BaseException as error:  # raised again in the caller's thread
        results.put((None, error))
    else:
        results.put((None, StopIteration()))


def _drain(results: queue.Queue) -> None:
    while not results.empty():
        results.get_nowait()
