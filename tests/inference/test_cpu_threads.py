"""The commands use as many threads as the container's quota allows."""

import subprocess
import sys

import pytest

from microemo.inference import cpu_threads
from microemo.inference.cpu_threads import cpu_quota, follow_cpu_quota, usable_cpus


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """64 processors; `machine(own, {file: text})` writes the control groups and returns where they are."""
    monkeypatch.setattr(cpu_threads.os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(cpu_threads.os, "cpu_count", lambda: 64)

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"cgroups": tmp_path / "cgroup", "own_cgroups": tmp_path / "own"}

    return write


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/pod/box\n", {"pod/cpu.max": "150000 100000\n", "pod/box/cpu.max": "max 100000\n"}, 1),
        ("0::/pod/box\n", {"pod/cpu.max": "800000 100000\n", "pod/box/cpu.max": "300000 100000\n"}, 3),
        (
            "5:memory:/x\n4:cpu,cpuacct:/docker/1\n",
            {"cpu,cpuacct/docker/1/cpu.cfs_quota_us": "400000", "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000"},
            4,
        ),
        ("4:cpu:/not/visible\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ("0::/\n", {"cpu.max": "nonsense"}, 64),
    ],
)
def test_the_quota_is_that_of_the_control_groups(machine, own, files, expected):
    assert usable_cpus(**machine(own, files)) == expected


def test_affinity_counts_too(machine, monkeypatch):
    monkeypatch.setattr(cpu_threads.os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert usable_cpus(**machine("0::/\n", {"cpu.max": "800000 100000\n"})) == 3


def test_without_linux_there_is_no_quota(tmp_path):
    assert cpu_quota(cgroups=tmp_path, own_cgroups=tmp_path / "none") is None


def test_a_choice_of_the_user_stands(monkeypatch):
    monkeypatch.setattr(cpu_threads, "usable_cpus", lambda: 1)
    monkeypatch.setattr(cpu_threads.os, "cpu_count", lambda: 64)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert follow_cpu_quota() is None


def test_the_command_follows_the_quota_and_the_library_does_not():
    code = """
import os, sys
os.environ.pop("OMP_NUM_THREADS", None)
import torch
torch.set_num_threads(7)
import microemo
from microemo.cli import main
from microemo.inference import cpu_threads
cpu_threads.os.cpu_count = lambda: 64
cpu_threads.usable_cpus = lambda: 2
assert torch.get_num_threads() == 7
main.main(["analyze", "missing.mp4"])
print(torch.get_num_threads(), os.environ["OMP_NUM_THREADS"])
"""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert finished.stdout.split() == ["2", "2"], finished.stderr[-2000:]
