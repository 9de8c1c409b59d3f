"""The figures as a Markdown table and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import torch

from benchmarks.measuring import Figure

PACKAGES = ("microemo", "torch", "transformers", "opencv-python")
NOTE = """\
Seconds on the clock and of processor time (all threads); ratios compare figures of one process in this run. Every
output of microemo-mini is switched on, trained or not.
"""


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load when begun": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def to_json(figures: Sequence[Figure], *, on: dict[str, Any]) -> str:
    return json.dumps({"machine": on, "figures": [asdict(figure) for figure in figures]}, indent=1) + "\n"


def to_markdown(figures: Sequence[Figure], *, on: dict[str, Any]) -> str:
    """One table a part, in the order in which the parts were measured."""
    lines = ["# Benchmarks", "", ", ".join(f"{name}: {value}" for name, value in on.items()), "", NOTE]
    for part in dict.fromkeys(figure.part for figure in figures):
        lines += [f"## {part}", "", "| what | seconds | processor s | peak MiB | |", "|---|---:|---:|---:|---|"]
        lines += [_row(figure) for figure in figures if figure.part == part]
        lines.append("")
    return "\n".join(lines)


def _row(figure: Figure) -> str:
    numbers = (_number(figure.seconds, 3), _number(figure.cpu_seconds, 3), _number(figure.peak_mib, 0))
    facts = "; ".join(f"{name}: {value}" for name, value in figure.facts.items())
    return "| " + " | ".join((figure.subject, *numbers, facts)).replace("\n", " ") + " |"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
