import multiprocessing

import numpy as np
import pytest

from microemo.processing.crop_cache import CropCache, cache_key, content_hash


def test_store_and_load(tmp_path):
    cache = CropCache(tmp_path / "deep" / "cache")
    assert cache.load("absent") is None
    arrays = {"crops": np.arange(12, dtype=np.uint8).reshape(3, 4), "times": np.zeros(0)}
    cache.store("key", arrays)
    stored = cache.load("key")
    assert set(stored) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(stored[name], array)
    assert [path.suffix for path in cache.folder.iterdir()] == [".npz"]


def test_a_damaged_file_counts_as_missing(tmp_path):
    cache = CropCache(tmp_path)
    cache.store("key", {"crops": np.arange(1000)})
    path = tmp_path / "key.npz"
    for content in (path.read_bytes()[:200], b"", b"no zip at all"):
        path.write_bytes(content)
        assert cache.load("key") is None


def test_a_failed_write_leaves_no_file(tmp_path):
    class Unwritable:
        def __array__(self, *args, **kwargs):
            raise RuntimeError("no")

    cache = CropCache(tmp_path)
    with pytest.raises(RuntimeError):
        cache.store("key", {"crops": Unwritable()})
    assert list(tmp_path.iterdir()) == []


def write_many(folder, value):
    cache = CropCache(folder)
    for _ in range(20):
        cache.store("key", {"crops": np.full(20_000, value)})
        loaded = cache.load("key")["crops"]
        assert len(np.unique(loaded)) == 1


def test_concurrent_writes_are_atomic(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, value)) for value in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(list(tmp_path.iterdir())) == 1


def test_cache_keys_and_content_hashes(tmp_path):
    assert cache_key("a", 1) != cache_key("a", 2) != cache_key("a1")
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert content_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
