"""Real workers take as long as the queue model says."""

import pytest
from corpus_clips import loader, write_corpus

from benchmarks.corpus_run import drain
from benchmarks.queue_model import ClusterModel, predict
from microemo.inference.corpus.manifest import ClipEntry


@pytest.mark.parametrize("workers", [1, 2])
def test_a_real_run_takes_what_is_predicted(workers, tmp_path):
    """Clips that wait in place of working: what is checked is the queue, not how cores share a machine's memory."""
    seconds = 1.5
    folder = write_corpus(tmp_path / "clips", clips=5)
    entries = [ClipEntry(number, str(path)) for number, path in enumerate(sorted(folder.iterdir()))]
    times, wall = drain(entries, workers=workers, load=loader(seconds=seconds))
    assert min(times) >= seconds
    predicted = predict([seconds] * 5, ClusterModel(workers)).seconds
    assert predicted == {1: 7.5, 2: 4.5}[workers]
    assert predicted <= wall < 1.5 * predicted


def test_a_clip_that_fails_has_no_time(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ValueError, match="ValueError: empty.mp4 is empty"):
        drain([ClipEntry(1, str(tmp_path / "empty.mp4"))], workers=1, load=loader())
