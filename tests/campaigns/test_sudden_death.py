"""Processes that are killed, disks that are full, two processes on one file: whole files and clear words.

pytest -m campaign tests/campaigns/test_sudden_death.py     kills whole commands, with a tiny model
"""

import errno
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaigns.limited_child import run_limited
from synthetic_media import moving_squares, tone, write_video

from microemo.conversion.mini.assembled_folder import assemble_once, fingerprint_of, is_complete
from microemo.inference.atomic_file import LEFTOVER_SECONDS
from microemo.inference.report.export import write_atomically
from microemo.inference.resume_log import ResumeLog

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and forks as Linux has them")

FORK = multiprocessing.get_context("fork")
LETTERS, LENGTH = "ab", 2_000_000
RECIPE = {"version": 1}
KILLS_QUICK, KILLS = 5, 50
PATIENCE_SECONDS = 600


def kill_at_random(target, arguments, *, chance: random.Random, longest_seconds: float) -> None:
    process = FORK.Process(target=target, args=arguments)
    process.start()
    time.sleep(chance.uniform(0, longest_seconds))
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def write_for_ever(path: Path) -> None:
    for letter in itertools.cycle(LETTERS):
        write_atomically(path, letter * LENGTH)


def assemble_for_ever(target: Path) -> None:
    for version in itertools.count():
        assemble_once(target, recipe={"version": version % 2}, write=write_slowly)


def write_slowly(folder: Path) -> None:
    for number in range(8):
        (folder / f"weights-{number}.bin").write_bytes(bytes([number]) * 200_000)


def keep_for_ever(path: Path) -> None:
    while True:
        with ResumeLog(path, job={"name": "x"}) as journal:
            for _ in range(20):
                journal._log.append({"findings": "x" * 1000, "detections": None})


def check_report(path: Path) -> None:
    text = path.read_text()
    assert len(text) == LENGTH and len(set(text)) == 1


@pytest.mark.parametrize("kills", [KILLS_QUICK, pytest.param(KILLS, marks=pytest.mark.campaign)])
def test_a_killed_writer_leaves_the_old_file_or_the_new(tmp_path, kills):
    path, chance = tmp_path / "report.json", random.Random(28)
    write_atomically(path, "a" * LENGTH)
    for _ in range(kills):
        kill_at_random(write_for_ever, (path,), chance=chance, longest_seconds=0.3)
        check_report(path)
    for draft in tmp_path.glob(".*.draft"):
        os.utime(draft, (0, time.time() - 2 * LEFTOVER_SECONDS))
    write_atomically(path, "b" * LENGTH)
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("kills", [KILLS_QUICK, pytest.param(KILLS, marks=pytest.mark.campaign)])
def test_a_killed_assembly_counts_for_nothing(tmp_path, kills):
    target, chance = tmp_path / "mini", random.Random(28)
    for _ in range(kills):
        kill_at_random(assemble_for_ever, (target,), chance=chance, longest_seconds=0.3)
        folder = assemble_once(target, recipe=RECIPE, write=write_slowly)
        assert is_complete(folder, fingerprint=fingerprint_of(RECIPE))
        assert {path.name for path in tmp_path.iterdir()} == {"mini", ".mini.lock"}


@pytest.mark.parametrize("kills", [KILLS_QUICK, pytest.param(KILLS, marks=pytest.mark.campaign)])
def test_a_killed_journal_loses_no_whole_line(tmp_path, kills):
    path, chance = tmp_path / "video.journal.jsonl", random.Random(28)
    before = b""
    for _ in range(kills):
        kill_at_random(keep_for_ever, (path,), chance=chance, longest_seconds=0.3)
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        assert whole.startswith(before)
        for line in whole.splitlines():
            json.loads(line)
        before = whole


def open_journal(path: Path) -> None:
    ResumeLog(path, job={"name": "x"})


def test_two_processes_do_not_write_one_journal(tmp_path):
    path = tmp_path / "video.journal.jsonl"
    with ResumeLog(path, job={"name": "x"}):
        assert "is in use by another analysis" in run_limited(open_journal, path)
        content = path.read_bytes()
    with ResumeLog(path, job={"name": "x"}):
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    "text",
    [
        '{"job": 5}\n',
        '{"job": {"format": 2, "name": "x"}}\n{"spoken": {"class": "os.system"}}\n',
        '{"job": {"format": 2, "name": "x"}}\n{"spoken": {"array": "AAAA"}}\n',
        '{"job": {"format": 2, "name": "x"}}\n{}\n',
        '{"job": {"format": 2, "name": "x"}}\n{"spoken": null}\n{"findings": {"class": "Clip"}}\n',
        '{"job": {"format": 2, "name": "x"}}\n[' + "[" * 100_000 + "\n",
    ],
    ids=["job", "class", "array", "empty", "fields", "nesting"],
)
def test_a_damaged_journal_is_refused_by_name_and_left_alone(tmp_path, text):
    path = tmp_path / "video.journal.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"video\.journal\.jsonl is damaged"):
        ResumeLog(path, job={"name": "x"})
    assert path.read_text() == text


def in_small_space(function, *arguments) -> None:
    """Calls it where no file may grow over 100 kB; what a full disk raises must come out of it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        function(*arguments)
    except OSError as error:
        assert error.errno in (errno.EFBIG, errno.ENOSPC)
        assert str(error)
    else:
        raise AssertionError("it fitted")


def test_a_full_disk_leaves_the_old_report(tmp_path):
    path = tmp_path / "report.json"
    write_atomically(path, "a" * LENGTH)
    assert run_limited(in_small_space, write_atomically, path, "b" * LENGTH) == ""
    check_report(path)
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def assemble_new(target: Path) -> None:
    assemble_once(target, recipe={"version": 2}, write=write_slowly)


def test_a_full_disk_leaves_the_old_folder(tmp_path):
    target = assemble_once(tmp_path / "mini", recipe=RECIPE, write=write_slowly)
    assert run_limited(in_small_space, assemble_new, target) == ""
    assert is_complete(target, fingerprint=fingerprint_of(RECIPE))
    assert {path.name for path in tmp_path.iterdir()} == {"mini", ".mini.lock"}


def journal_much(path: Path) -> None:
    with ResumeLog(path, job={"name": "x"}) as journal:
        journal._log.append({"spoken": None})
        journal._log.append({"findings": "x" * 200_000, "detections": None})


def test_a_full_disk_leaves_the_journal_readable(tmp_path):
    path = tmp_path / "video.journal.jsonl"
    assert run_limited(in_small_space, journal_much, path) == ""
    with ResumeLog(path, job={"name": "x"}) as journal:
        assert journal.findings == () and len(path.read_bytes().splitlines()) == 2


@pytest.fixture
def commands(tmp_path) -> dict[str, list[str]]:
    """Name -> the arguments of a command that writes to `tmp_path/out`."""
    from tiny_folder import write_tiny_folder

    model = write_tiny_folder(tmp_path / "tiny")
    frames = moving_squares(count=50)
    video = write_video(tmp_path / "clip.mp4", frames, waveform=tone(seconds=2.0))
    words = tmp_path / "words.json"
    words.write_text(
        json.dumps([{"start": 0.2, "end": 0.9, "text": "Look!"}, {"start": 1.1, "end": 1.9, "text": "Ah"}])
    )
    out = tmp_path / "out"
    return {
        "analyze": ["analyze", str(video), "--model", str(model), "--mode", "scores", "--transcript", str(words),
                    "--resume", str(tmp_path / "work"), "--out", str(out / "report.json"), "--quiet"],
        "export": ["export", "--model", str(model), str(out / "folder")],
    }  # fmt: skip


def run_command(arguments: list[str], *, kill_after: float | None = None) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", "microemo.cli.main", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        return process.wait(kill_after or PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): b"" if path.suffix == ".json" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["analyze", "export"])
def test_campaign_of_killed_commands(commands, tmp_path, name):
    """Killed at random moments of the time that it takes, then run to its end: as if it had not been killed."""
    out, chance = tmp_path / "out", random.Random(28)
    begin = time.monotonic()
    assert run_command(commands[name]) == 0
    taken, whole_copy = time.monotonic() - begin, Path(shutil.copytree(out, tmp_path / "whole"))
    for _ in range(int(os.environ.get("MICROEMO_KILLS") or 10)):
        shutil.rmtree(out / "folder", ignore_errors=True)  # an export goes where nothing is
        run_command(commands[name], kill_after=chance.uniform(0.2, 1.0) * taken)
        assert not (out / "folder").exists() or content_of(out / "folder") == content_of(whole_copy / "folder")
    shutil.rmtree(out / "folder", ignore_errors=True)
    assert run_command(commands[name]) == 0
    found = {file: content for file, content in content_of(out).items() if not file.startswith(".folder.partial-")}
    assert found == content_of(whole_copy)
