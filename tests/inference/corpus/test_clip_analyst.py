"""A clip's row whatever the clip does to the process that reads it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus_clips import fail_to_load, loader, write_corpus

from microemo.inference.child_process import LoadingError
from microemo.inference.corpus.clip_analyst import ClipAnalyst
from microemo.inference.corpus.manifest import ClipEntry
from microemo.inference.corpus.settings import CorpusSettings, row_provenance
from microemo.inference.job_log import job_digest

SETTINGS = CorpusSettings(mode="scores")
ENOUGH_SECONDS = 300


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = write_corpus(tmp_path_factory.mktemp("corpus"), clips=2, broken=True)
    return {path.stem: ClipEntry(number, str(path)) for number, path in enumerate(sorted(folder.iterdir()))}


@pytest.fixture(scope="module")
def analyst():
    with ClipAnalyst(loader(), settings=SETTINGS, time_limit=10) as analyst:
        yield analyst


def failure(row):
    return row["status"], row["stage"], row["error_class"], row["message"]


def test_each_bad_file_is_a_row_and_the_next_clip_is_analysed(analyst, clips):
    for name, expected in {
        "poison": ("error", "frames", "ProcessDied", "the process ended with signal SIGSEGV"),
        "empty": ("error", "frames", "ValueError", "empty.mp4 is empty"),
        "hang": ("error", "frames", "TimeLimit", "took longer than 10 s"),
    }.items():
        row = analyst.analyze(clips[name])
        assert failure(row) == expected and row["id"] == clips[name].id and row["utterances"] is None
    row = analyst.analyze(clips["clip_001"])
    assert row["status"] == "done" and row["utterances"] is not None
    assert row["fingerprint"] == job_digest(analyst.provenance)


def test_a_file_that_changed_or_vanished_is_a_row(analyst, clips):
    path = clips["clip_000"].path
    row = analyst.analyze(ClipEntry(1, path, bytes=99))
    assert failure(row)[2:] == ("ValueError", f"{path} has 6 bytes, but had 99 when the manifest was made")
    assert failure(analyst.analyze(ClipEntry(1, "/nowhere.mp4")))[1:3] == ("opening", "FileNotFoundError")


def test_a_process_that_somebody_ends_is_given_a_second_chance(analyst, clips):
    analyst.analyze(clips["clip_000"])
    os.kill(analyst.pid, signal.SIGKILL)
    assert analyst.analyze(clips["clip_000"])["status"] == "done"


def test_without_a_model_there_are_no_rows(clips):
    with (
        ClipAnalyst(fail_to_load, settings=SETTINGS) as analyst,
        pytest.raises(LoadingError, match="there is no folder /nowhere"),
    ):
        analyst.analyze(clips["clip_000"])


def test_the_process_of_a_parent_that_is_killed_ends_too(clips):
    program = (
        "from corpus_clips import loader\n"
        "from microemo.inference.corpus.clip_analyst import ClipAnalyst, ClipEntry, CorpusSettings\n"
        "if __name__ == '__main__':\n"
        "    analyst = ClipAnalyst(loader(), settings=CorpusSettings(mode='scores'))\n"
        "    analyst.provenance\n"
        "    print(analyst.pid, flush=True)\n"
        f"    analyst.analyze(ClipEntry(1, {clips['hang'].path!r}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + ENOUGH_SECONDS
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(child)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_fingerprint_is_that_of_weights_and_settings():
    def fingerprint(settings=SETTINGS, **analyzer):
        return job_digest(row_provenance(loader(**analyzer)(), settings=settings))

    assert fingerprint() == fingerprint(seconds=1.0)
    assert len({fingerprint(), fingerprint(weights="b"), fingerprint(CorpusSettings(mode="explain"))}) == 3


def test_settings_and_limits_are_checked():
    with pytest.raises(ValueError, match="mode must be one of .'explain', 'scores'., got 'fast'"):
        CorpusSettings(mode="fast")
    with pytest.raises(ValueError, match="time_limit must be > 0 seconds, got 0"):
        ClipAnalyst(loader(), settings=SETTINGS, time_limit=0)
