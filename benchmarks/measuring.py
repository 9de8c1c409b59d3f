"""One measurement is one function in a process of its own: its peak of memory is nobody else's.

`python -m benchmarks.measuring MODULE FUNCTION ARGUMENTS` is how `run_alone` starts that process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
PEAK_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
MIB = 1 << 20
TIME_LIMIT_SECONDS = 3 * 3600


@dataclass(frozen=True)
class Figure:
    """What was measured of one subject.

    seconds on the clock and of processor time (all threads), the best of the repeats. peak_mib: of the whole process,
    None where several figures share it. facts: whatever else there is to say, in numbers or words.
    """

    part: str
    subject: str
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_mib: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def timed(function: Callable[[], Any], *, repeats: int = 1) -> tuple[Any, float, float]:
    """The function's last result, and the least seconds and processor seconds that it took."""
    walls, processors = [], []
    for _ in range(repeats):
        wait_for_device()
        wall, processor = time.perf_counter(), time.process_time()
        result = function()
        wait_for_device()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return result, min(walls), min(processors)


def wait_for_device() -> None:
    """Lets a GPU finish what it was given, for its work goes on while Python does."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT_BYTES / MIB


def run_alone(function: Callable[..., list[Figure]], **arguments: Any) -> list[Figure]:
    """The figures of a module's function, called with plain arguments in a new process.

    What fails becomes a figure that says so: the rest of the table is still worth having.
    """
    command = [sys.executable, "-m", __name__, function.__module__, function.__name__, json.dumps(arguments)]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT_SECONDS)
    if finished.returncode:
        subject = ", ".join(str(value) for value in arguments.values())
        return [Figure(function.__name__, subject, facts={"failed": f"exit code {finished.returncode}"})]
    return [Figure(**entry) for entry in json.loads(finished.stdout.splitlines()[-1])]


def main(arguments: list[str]) -> None:
    module, function, keywords = arguments
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    figures = getattr(import_module(module), function)(**json.loads(keywords))
    print("\n" + json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main(sys.argv[1:])
