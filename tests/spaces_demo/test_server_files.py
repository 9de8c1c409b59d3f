"""An upload must not outlive the server, however the server ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microemo.spaces_demo import server_files as module
from microemo.spaces_demo.server_files import GRADIO_FOLDER, remove_abandoned, server_files, sweep

PATIENCE_SECONDS = 60
# A test run in the background may ignore signals, which children inherit.
SERVER = """
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from microemo.spaces_demo.server_files import server_files
try:
    with server_files() as files:
        (files.uploads / "clip.mp4").write_bytes(b"a face")
        (files.requests / "clip.mp4").write_bytes(b"a face")
        Path(sys.argv[1]).touch()
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(0)
"""


@pytest.fixture(autouse=True)
def parent(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv(GRADIO_FOLDER, str(tmp_path / "parent"))
    return tmp_path / "parent"


@pytest.fixture
def serving(tmp_path):
    """A server's process, once it holds an upload."""
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path / "ready")], env=os.environ)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (tmp_path / "ready").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def clips(parent: Path) -> list[Path]:
    return list(parent.rglob("clip.mp4"))


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_ended_server_leaves_nothing(serving, parent, ending):
    assert len(clips(parent)) == 2
    serving.send_signal(ending)
    assert serving.wait(PATIENCE_SECONDS) == 0
    assert not any(parent.iterdir())


def test_the_next_start_sweeps_what_a_killed_server_left(serving, parent):
    serving.kill()
    serving.wait()
    assert len(clips(parent)) == 2
    with server_files() as files:
        assert clips(parent) == [] and files.uploads.is_dir()
    assert not any(parent.iterdir())


def test_a_living_server_is_not_swept(serving, parent):
    sweep(parent)
    with server_files():
        assert len(clips(parent)) == 2


def test_foreign_files_are_not_swept(parent):
    parent.mkdir()
    (parent / "microemo-demonstration").mkdir()
    (parent / "other.lock").touch()
    with server_files():
        pass
    assert sorted(path.name for path in parent.iterdir()) == ["microemo-demonstration", "other.lock"]


def test_an_error_leaves_nothing_and_restores_the_surroundings(parent):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), server_files() as files:
        assert os.environ[GRADIO_FOLDER] == str(files.uploads)
        assert files.requests.parent.stat().st_mode & 0o077 == 0
        raise RuntimeError
    assert not any(parent.iterdir())
    assert os.environ[GRADIO_FOLDER] == str(parent) and signal.getsignal(signal.SIGTERM) is before


def test_uploads_that_were_broken_off_go_while_the_server_runs(monkeypatch):
    monkeypatch.setattr(module, "SWEEP_SECONDS", 0.05)
    with server_files() as files:
        half, fresh = files.uploads / "tmphalf", files.uploads / "tmpfresh"
        whole = files.uploads / "hash" / "tmp.mp4"
        whole.parent.mkdir()
        for path in (half, fresh, whole):
            path.write_bytes(b"a face")
        for path in (half, whole):
            os.utime(path, (0, 0))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while half.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert fresh.exists() and whole.exists()
        remove_abandoned(files.uploads, silent_seconds=0)
        assert not fresh.exists() and whole.exists()


def test_an_ignored_signal_stays_ignored():
    """As `nohup` sets it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with server_files():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
