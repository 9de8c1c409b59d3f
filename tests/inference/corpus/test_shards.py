"""A shard stops anywhere and goes on: nothing lost, nothing twice, nothing mixed with another analysis."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_clips import JOB, StandInAnalyzer, plain_row, write_corpus
from filelock import FileLock

from microemo.inference.corpus.manifest import ClipEntry, Manifest, clip_id_of
from microemo.inference.corpus.shards import Outcome, Shard, run_shard

SCRIPT = Path(__file__).parents[2] / "corpus_clips.py"
ENOUGH_SECONDS = 300


@pytest.fixture
def manifest(tmp_path):
    folder = write_corpus(tmp_path / "clips", clips=6)
    return Manifest.of_entries([ClipEntry(clip_id_of(path), str(path)) for path in sorted(folder.iterdir())])


@pytest.fixture
def row():
    return partial(plain_row, analyzer=StandInAnalyzer())


def test_a_shard_is_a_table_in_the_order_of_ids(manifest, row, tmp_path):
    seen = []
    out = tmp_path / "new" / "part.parquet"
    outcome = run_shard(manifest, out=out, job=JOB, analyze=row, progress=lambda *news: seen.append(news))
    assert outcome == Outcome(clips=6, errors=0) and seen[-1] == ("clips", 6, 6)
    assert pq.read_table(out)["id"].to_pylist() == manifest.table["id"].to_pylist()
    assert [path.name for path in out.parent.iterdir()] == ["part.parquet"]


def test_it_goes_on_with_the_clips_that_are_missing(manifest, row, tmp_path):
    whole, out = tmp_path / "whole.parquet", tmp_path / "part.parquet"
    run_shard(manifest, out=whole, job=JOB, analyze=row)
    analyzed = []

    def stop_at_the_fourth(entry):
        if len(analyzed) == 3:
            raise KeyboardInterrupt
        analyzed.append(entry.id)
        return row(entry)

    with pytest.raises(KeyboardInterrupt):
        run_shard(manifest, out=out, job=JOB, analyze=stop_at_the_fourth)
    assert not out.exists()
    again = []
    run_shard(manifest, out=out, job=JOB, analyze=lambda entry: again.append(entry.id) or row(entry))
    assert analyzed + again == manifest.table["id"].to_pylist()
    assert pq.read_table(out).equals(pq.read_table(whole))
    run_shard(manifest, out=out, job=JOB, analyze=None)  # all is done: nothing is analysed


def test_kill_9_in_the_middle_loses_nothing(manifest, row, tmp_path):
    manifest.write(tmp_path / "m.parquet")
    out, calls = tmp_path / "part.parquet", tmp_path / "calls"
    process = subprocess.Popen([sys.executable, SCRIPT, tmp_path / "m.parquet", out, calls, "0.2"])
    journal = tmp_path / "part.parquet.journal.jsonl"
    deadline = time.monotonic() + ENOUGH_SECONDS
    while (not journal.exists() or journal.read_text().count("\n") < 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not out.exists()
    kept = journal.read_text().count("\n") - 1
    assert 2 <= kept < 6
    again = []
    run_shard(manifest, out=out, job=JOB, analyze=lambda entry: again.append(entry.id) or row(entry))
    assert again == manifest.table["id"].to_pylist()[kept:]
    assert len(calls.read_text().split()) <= kept + 1  # one was in the air
    run_shard(manifest, out=tmp_path / "whole.parquet", job=JOB, analyze=row)
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"))


def test_another_analysis_is_refused(manifest, row, tmp_path):
    out = tmp_path / "part.parquet"
    run_shard(manifest, out=out, job=JOB, analyze=row)
    with pytest.raises(
        ValueError, match="part.parquet is the table of another analysis.*mode .'scores', now 'explain'"
    ):
        run_shard(manifest, out=out, job={**JOB, "mode": "explain"}, analyze=row)


def test_the_journal_of_another_analysis_is_refused(manifest, row, tmp_path):
    def stop(entry):
        raise KeyboardInterrupt

    out = tmp_path / "part.parquet"
    with pytest.raises(KeyboardInterrupt):
        run_shard(manifest, out=out, job=JOB, analyze=stop)
    with pytest.raises(ValueError, match="differs in shard .'1/1', now '2/3'"):
        run_shard(manifest, out=out, job={**JOB, "shard": "2/3"}, analyze=row)
    assert not out.exists()


def test_two_processes_on_one_shard_are_refused(manifest, row, tmp_path):
    out = tmp_path / "part.parquet"
    with FileLock(tmp_path / ".part.parquet.lock"), pytest.raises(ValueError, match="another process is at work on"):
        run_shard(manifest, out=out, job=JOB, analyze=row)


def test_an_empty_shard_is_an_empty_table(row, tmp_path):
    assert run_shard(Manifest.of_entries([]), out=tmp_path / "p.parquet", job=JOB, analyze=row) == Outcome(0, 0)


def test_shards_by_name():
    assert Shard.parse("3/16") == Shard(3, 16) and str(Shard(3, 16)) == "3/16"
    for text in ("3", "3/", "a/b", "-1/4", "²/3"):
        with pytest.raises(ValueError, match="shard must be NUMBER/COUNT such as 3/16"):
            Shard.parse(text)
    for text in ("0/4", "5/4"):
        with pytest.raises(ValueError, match=f"shard must be from 1/4 to 4/4, got '{text}'"):
            Shard.parse(text)
