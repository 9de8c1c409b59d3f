"""A corpus on a Ray cluster of two nodes: the table of one process, whoever is killed on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from corpus_clips import BROKEN, loader, write_corpus

from microemo.inference.corpus.clip_analyst import ClipAnalyst
from microemo.inference.corpus.manifest import ClipEntry, Manifest, clip_id_of
from microemo.inference.corpus.settings import CorpusSettings
from microemo.inference.corpus.shards import Outcome, Shard, run_shard, shard_job
from microemo.inference.corpus.tables import flat_path

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray")
TESTS = Path(__file__).parents[2]
SETTINGS = CorpusSettings(mode="scores")
CLIPS, PART_CLIPS, NODES = 12, 4, 2
STORE_BYTES = 100 << 20
ENOUGH_SECONDS = 1200
DRIVER = """
import sys
from pathlib import Path
from corpus_clips import loader
from microemo.inference.corpus.manifest import Manifest
from microemo.inference.corpus.ray_engine import RayPlan, run_on_ray
from microemo.inference.corpus.settings import CorpusSettings
if __name__ == "__main__":
    address, manifest, out, calls = sys.argv[1:]
    run_on_ray(
        Manifest.read(manifest), out=out, load_analyzer=loader(seconds=0.5, calls=Path(calls)),
        settings=CorpusSettings(mode="scores"), plan=RayPlan(address, part_clips=4),
    )
"""


@pytest.fixture(scope="module")
def address():
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))  # the nodes import the analyzer from there
        patch.setenv("OMP_NUM_THREADS", "1")
        cluster = Cluster()
        for _ in range(NODES):
            cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster.address
        ray.shutdown()
        cluster.shutdown()


def make_manifest(folder, *, broken=False):
    write_corpus(folder, clips=CLIPS, broken=broken)
    return Manifest.of_entries([ClipEntry(clip_id_of(path), str(path)) for path in sorted(folder.iterdir())])


def run_cluster(manifest, out, *, address, load=None, **asked):
    from microemo.inference.corpus.ray_engine import RayPlan, run_on_ray

    plan = RayPlan(address, part_clips=PART_CLIPS)
    load = load or loader()
    return run_on_ray(manifest, out=out, load_analyzer=load, **{"settings": SETTINGS, "plan": plan, **asked})


def table_of_one_process(manifest, out, **asked):
    with ClipAnalyst(loader(), settings=SETTINGS, **asked) as analyst:
        job = shard_job(manifest.digest(), provenance=analyst.provenance, shard=Shard())
        run_shard(manifest, out=out, job=job, analyze=analyst.analyze)
    return pq.read_table(out)


def wait_for(condition):
    deadline = time.monotonic() + ENOUGH_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def begun(calls):
    return Counter(calls.read_text().split()) if calls.exists() else Counter()


def test_the_table_is_that_of_one_process(address, tmp_path):
    manifest = make_manifest(tmp_path / "clips", broken=True)
    seen = []
    outcome = run_cluster(
        manifest, tmp_path / "out", address=address, time_limit=10, progress=lambda *news: seen.append(news)
    )
    assert outcome == Outcome(CLIPS + 3, 3) and seen[-1] == ("clips", CLIPS + 3, CLIPS + 3)
    table = pq.read_table(tmp_path / "out" / "corpus.parquet")
    whole = table_of_one_process(manifest, tmp_path / "whole.parquet", time_limit=10)
    assert table.equals(whole)
    wrong = {Path(row["path"]).name: row["error_class"] for row in table.to_pylist() if row["status"] == "error"}
    assert wrong == dict(zip(BROKEN, ("ValueError", "TimeLimit", "ProcessDied"), strict=True))
    assert flat_path(tmp_path / "out" / "corpus.parquet", "events").exists()
    # All is there: nobody analyses anything again, and another analysis does not go into this folder.
    calls = tmp_path / "calls"
    run_cluster(manifest, tmp_path / "out", address=address, load=loader(calls=calls))
    assert not begun(calls)
    with pytest.raises(ValueError, match="holds another analysis, which differs in mode .'scores', now 'explain'"):
        run_cluster(manifest, tmp_path / "out", address=address, settings=CorpusSettings(mode="explain"))
    with pytest.raises(ValueError, match="which differs in model.weights .'a', now 'b'"):
        run_cluster(manifest, tmp_path / "out", address=address, load=loader(weights="b"))


def test_kill_9_of_a_worker_loses_nothing(address, tmp_path):
    manifest, calls = make_manifest(tmp_path / "clips"), tmp_path / "calls"
    killed = []

    def kill_a_worker():
        wait_for(lambda: sum(begun(calls).values()) >= 3)
        actors = [process for process in psutil.process_iter() if is_busy_actor(process)]
        killed.append(actors[0].pid)
        actors[0].kill()

    killer = threading.Thread(target=kill_a_worker)
    killer.start()
    run_cluster(manifest, tmp_path / "out", address=address, load=loader(seconds=0.5, calls=calls))
    killer.join()
    assert killed
    counts = begun(calls)
    assert len(counts) == CLIPS and sum(counts.values()) <= CLIPS + 1  # one was in the air
    whole = table_of_one_process(manifest, tmp_path / "whole.parquet")
    assert pq.read_table(tmp_path / "out" / "corpus.parquet").equals(whole)


def is_busy_actor(process):
    """A Ray worker that has a process of its own: one with a model."""
    try:
        return " ".join(process.cmdline()).startswith("ray::") and bool(process.children())
    except psutil.Error:
        return False


def test_kill_9_of_the_driver_loses_nothing(address, tmp_path):
    manifest, calls, out = make_manifest(tmp_path / "clips"), tmp_path / "calls", tmp_path / "out"
    manifest.write(tmp_path / "m.parquet")
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, address, tmp_path / "m.parquet", out, calls])
    wait_for(lambda: sum(begun(calls).values()) >= 5)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL and not (out / "corpus.parquet").exists()
    wait_for(lambda: not any(map(is_busy_actor, psutil.process_iter())))  # Ray ends the actors of a lost driver
    first = begun(calls)
    assert 5 <= sum(first.values()) < CLIPS
    run_cluster(manifest, out, address=address, load=loader(seconds=0.5, calls=calls))
    counts = begun(calls)
    assert len(counts) == CLIPS and sum(counts.values()) <= CLIPS + NODES  # each worker had one in the air
    assert pq.read_table(out / "corpus.parquet").equals(table_of_one_process(manifest, tmp_path / "whole.parquet"))


def test_a_plan_is_checked():
    from microemo.inference.corpus.ray_engine import RayPlan

    for name, wrong in {"workers": 0, "cpus": 0, "part_clips": 0, "gpus": -1}.items():
        with pytest.raises(ValueError, match=f"{name} must be >= [01], got {wrong}"):
            RayPlan(**{name: wrong})
