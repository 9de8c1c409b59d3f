"""The worker's process: it may end in every way, the next job is done."""

import pytest
from demo_models import fail_to_load, load_ending

from microemo.inference.child_process import LoadingError
from microemo.spaces_demo.jobs import Failed, Finished, Grown, Job, Stage
from microemo.spaces_demo.worker import DIED, Worker, WorkerPool


@pytest.fixture(scope="module")
def worker():
    worker = Worker(load_ending, max_seconds=20)
    yield worker
    worker.stop()


@pytest.fixture
def good(tmp_path, report):
    """A job that ends well: the clip holds its own report, with the paths of its folder."""
    (tmp_path / "clip.mp4").write_text(report.to_json().replace("/srv/private", str(tmp_path)))
    return Job(tmp_path / "clip.mp4")


def kinds(told):
    return [type(news) for news in told]


def test_news_come_in_order_without_the_servers_paths(worker, good):
    told = list(worker.run(good))
    assert kinds(told) == [Stage, Grown, Finished] and told[0] == Stage("frames", 1, 2)
    assert told[1].report.source == "clip.mp4" and told[1].report.settings.transcript == "clip.srt"


def test_a_process_that_dies_takes_nobody_with_it(worker, good, tmp_path):
    told = list(worker.run(Job(tmp_path / "fatal.mp4")))
    assert told[-1] == Failed(DIED)
    assert kinds(worker.run(good))[-1] is Finished


def test_an_error_inside_is_no_news_of_its_own(worker, good, tmp_path):
    told = list(worker.run(Job(tmp_path / "bug.mp4")))
    assert kinds(told) == [Stage, Failed] and "fault of this program" in told[-1].message
    assert kinds(worker.run(good))[-1] is Finished


def test_unusable_input_is_named_without_its_folder(worker, tmp_path):
    told = list(worker.run(Job(tmp_path / "broken.mp4")))
    assert told[-1] == Failed("broken.mp4 holds neither video nor audio")


@pytest.mark.slow
def test_endless_work_is_stopped(tmp_path):
    worker = Worker(load_ending, max_seconds=1)
    try:
        told = list(worker.run(Job(tmp_path / "endless.mp4")))
        assert isinstance(told[-1], Failed) and "longer than 1 s" in told[-1].message
    finally:
        worker.stop()


@pytest.mark.slow
def test_a_visitor_who_leaves_ends_the_work(worker, good, tmp_path):
    told = worker.run(Job(tmp_path / "endless.mp4"))
    assert next(told) == Stage("frames", 1, 2)
    told.close()
    assert kinds(worker.run(good))[-1] is Finished


def test_a_model_that_cannot_be_loaded_is_said_at_once(good):
    pool = WorkerPool(fail_to_load, count=1, max_seconds=5)
    try:
        with pytest.raises(LoadingError, match="there is no folder /nowhere"):
            pool.wait_until_loaded()
    finally:
        pool.stop()


def test_a_pool_needs_a_worker():
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        WorkerPool(load_ending, count=0, max_seconds=5)
