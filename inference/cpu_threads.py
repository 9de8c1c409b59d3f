"""As many threads as there are processors to use: those that a container's quota and the process's affinity leave.

torch and OpenMP count the machine's cores. In a container that may use 2 of 64 they start 64 threads, which take turns
and are throttled together; work takes many times as long. The commands call `follow_cpu_quota` before they load
anything; the library itself never changes a process's threads. In code of your own, call it first, or set
OMP_NUM_THREADS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")  # the user's own choice; it stands


def follow_cpu_quota() -> int | None:
    """Limits the threads of this process and of those that it starts; returns how many, None where nothing changes."""
    threads = usable_cpus()
    if any(os.environ.get(name) for name in THREAD_VARIABLES) or threads >= (os.cpu_count() or 1):
        return None
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for what is loaded or started from here on
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
    if cv2 := sys.modules.get("cv2"):
        cv2.setNumThreads(threads)
    return threads


def usable_cpus(*, cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> int:
    """How many processors this process may keep busy, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroups=cgroups, own_cgroups=own_cgroups)
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def cpu_quota(*, cgroups: Path = CGROUPS, own_cgroups: Path = OWN_CGROUPS) -> float | None:
    """The smallest quota, in processors, of the process's control groups and those above them; None without one."""
    quotas = [quota for folder in _folders(cgroups, own_cgroups) if (quota := _quota_of(folder)) is not None]
    return min(quotas, default=None)


def _folders(cgroups: Path, own_cgroups: Path) -> Iterator[Path]:
    """The control groups of the process, of version 2 ("0::/path") and 1 ("4:cpu,cpuacct:/path"), up to the roots."""
    try:
        lines = own_cgroups.read_text().splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for root in (cgroups / controllers, cgroups / "cpu") if controllers else (cgroups, cgroups / "unified"):
            group = root / path.lstrip("/")
            yield group
            yield from (each for each in group.parents if each.is_relative_to(root))


def _quota_of(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return None if quota in ("max", "-1") else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no quota there, or none that can be read
        return None
