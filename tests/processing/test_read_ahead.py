import threading

import pytest

from microemo.processing.read_ahead import read_ahead


def test_everything_comes_in_order():
    assert list(read_ahead(iter(range(20)))) == list(range(20))
    assert list(read_ahead(iter([]))) == [] and list(read_ahead(iter([None, 0]))) == [None, 0]


def test_the_next_item_is_made_while_one_is_used():
    made_second = threading.Event()

    def items():
        yield 1
        made_second.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert made_second.wait(timeout=10)
    assert list(ahead) == [2]


def test_an_error_comes_where_the_item_would_have_come():
    def items():
        yield 1
        raise OSError("unreadable")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="unreadable"):
        next(ahead)


def test_the_thread_ends_with_its_consumer():
    ahead = read_ahead(iter(range(1000)))
    assert next(ahead) == 0
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
