import time

import numpy as np
import pytest
from synthetic_media import frame_number, moving_squares, write_video

from microemo.processing.media_index import index_media
from microemo.processing.video_decoders import DeadlineWorker, PyAVDecoder


@pytest.fixture
def worker():
    worker = DeadlineWorker()
    yield worker
    worker.close()


def test_calls_end_at_the_deadline(worker):
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.05 s"):
        worker.call(lambda: time.sleep(1), seconds=0.05)
    assert time.monotonic() - began < 0.9


def test_results_and_errors_are_returned_in_order(worker):
    assert worker.call(lambda: np.ones(2), seconds=5).tolist() == [1, 1]
    with pytest.raises(KeyError, match="why"):
        worker.call(lambda: {}["why"], seconds=5)
    assert worker.call(lambda: np.zeros(1), seconds=5).tolist() == [0]


@pytest.fixture
def decoder(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving_squares(count=120))
    decoder = PyAVDecoder(path, index=index_media(path).video)
    yield decoder
    decoder.close()


def decode(decoder, indices):
    return [
        (index, frame_number(picture)) for index, picture in decoder.decode(np.array(indices), height=48, width=64)
    ]


@pytest.mark.parametrize("indices", [[0, 1, 2], [100], [119], [30, 90, 91], [47, 48, 49], [11, 12, 13, 60, 61]])
def test_random_access_returns_the_right_frame(decoder, indices):
    assert decode(decoder, [5]) == [(5, 5)]
    assert decode(decoder, indices) == [(index, index) for index in indices]
    assert decode(decoder, [0]) == [(0, 0)]


def test_distant_frames_use_seeking(decoder, monkeypatch):
    decode(decoder, [0])
    steps = []
    advance = decoder._advance
    monkeypatch.setattr(decoder, "_advance", lambda: steps.append(1) or advance())
    assert decode(decoder, [110]) == [(110, 110)]
    assert len(steps) <= 15  # a group of pictures, not the whole file
