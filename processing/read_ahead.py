"""The next item is made in a thread while the present one is used: frames are decoded while faces are looked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yields what `items` yields, one item ahead: while one is used, one waits and one is being made.

    An error is raised where the item would have come. A consumer that may stop early closes the generator
    (`contextlib.closing`): that waits for the thread, and only then may anybody close what `items` reads from.
    """
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=1)
    stopped = threading.Event()
    thread = threading.Thread(target=_make, args=(items, made, stopped), name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error
            del item  # while the consumer waits for the next, nobody holds the last
    finally:
        stopped.set()
        while thread.is_alive():
            _drain(made)
            thread.join(timeout=0.01)


def _make(items: Iterator[Item], made: queue.Queue, stopped: threading.Event) -> None:
    try:
        for item in items:
            if stopped.is_set():
                return
            made.put((item, None))
            del item
    except BaseException as error:  # whatever it is, it belongs to the consumer
        made.put((None, error))
    else:
        made.put((None, StopIteration()))


def _drain(made: queue.Queue) -> None:
    while not made.empty():
        made.get_nowait()
