"""The queue model against sums that can be done by hand."""

import pytest

from benchmarks.queue_model import ClusterModel, predict


@pytest.mark.parametrize(("workers", "seconds"), [(1, 16.0), (2, 9.0), (4, 6.0), (9, 6.0)])
def test_the_next_clip_goes_to_whoever_is_free(workers, seconds):
    # Two workers: 4 and 3 begin; 6 follows the 3 and ends at 9, the last 3 follows the 4 and ends at 7.
    clips = [4.0, 3.0, 6.0, 3.0]
    assert predict(clips, ClusterModel(workers)).seconds == seconds


def test_loading_is_paid_by_every_worker():
    found = predict([10.0] * 4, ClusterModel(2, start_seconds=5.0))
    assert found.seconds == 25.0 and found.worker_seconds == 50.0 and found.bound == "workers"
    assert found.cost(price_an_hour=3.6) == pytest.approx(0.05)


def test_a_link_that_all_share_sets_the_pace():
    clips, sizes = [1.0] * 8, [10] * 8
    fast = predict(clips, ClusterModel(8, link_bytes_per_second=1000.0), clip_bytes=sizes)
    assert fast.seconds == pytest.approx(8 * 0.01 + 1) and fast.bound == "workers"
    slow = predict(clips, ClusterModel(8, link_bytes_per_second=2.0), clip_bytes=sizes)
    assert slow.seconds == pytest.approx(8 * 5 + 1) and slow.bound == "link"


def test_workers_that_share_a_machine_slow_each_other():
    assert predict([2.0] * 4, ClusterModel(2, slowdown=1.5)).seconds == 6.0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
        ClusterModel(0)
    with pytest.raises(ValueError, match="slowdown must be > 0, got 0"):
        ClusterModel(1, slowdown=0)
    with pytest.raises(ValueError, match="clip_bytes has 1 values for 2 clips"):
        predict([1.0, 2.0], ClusterModel(1), clip_bytes=[5])
