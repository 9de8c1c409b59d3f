"""A function in a child process that may use so much memory and time and no more."""

from __future__ import annotations

import multiprocessing
import resource
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

MEMORY_BYTES = 3 << 30
SECONDS = 60.0


def run_limited(
    function: Callable[..., Any], *arguments: Any, memory_bytes: int = MEMORY_BYTES, seconds: float = SECONDS
) -> str:
    """ "" where `function` returns in a fork of this process, else what went wrong there.

    Args:
        memory_bytes: address space that it may take beyond what this process has.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(sender, function, arguments, memory_bytes))
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            return f"not done after {seconds:.0f} s"
        return receiver.recv()
    except EOFError:
        child.join()
        return f"the process ended by {child.exitcode} (negative: by that signal)"
    finally:
        child.kill()
        child.join()
        receiver.close()


def _work(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], memory_bytes: int) -> None:
    limit = _address_space_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        function(*arguments)
    except BaseException:
        sender.send(traceback.format_exc())
    else:
        sender.send("")


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def resident_bytes() -> int:
    """Memory that this process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
