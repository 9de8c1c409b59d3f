import threading

import pytest

from microemo.processing.prefetch import prefetch


def test_items_keep_their_order():
    assert list(prefetch(iter(range(20)))) == list(range(20))
    assert list(prefetch(iter([]))) == [] and list(prefetch(iter([None, 0]))) == [None, 0]


def test_the_next_item_is_produced_while_one_is_used():
    second_produced = threading.Event()

    def items():
        yield 1
        second_produced.set()
        yield 2

    prefetched = prefetch(items())
    assert next(prefetched) == 1
    assert second_produced.wait(timeout=10)
    assert list(prefetched) == [2]


def test_an_error_is_raised_in_place_of_its_item():
    def items():
        yield 1
        raise OSError("unreadable")

    prefetched = prefetch(items())
    assert next(prefetched) == 1
    with pytest.raises(OSError, match="unreadable"):
        next(prefetched)


def test_closing_the_generator_ends_the_thread():
    prefetched = prefetch(iter(range(1000)))
    assert next(prefetched) == 0
    prefetched.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
