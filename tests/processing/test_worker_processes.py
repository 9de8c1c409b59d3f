"""Readers in worker processes of a DataLoader and through pickle, after use."""

import pickle

import numpy as np
import pytest
import torch
from synthetic_faces import drifting_portrait
from synthetic_media import tone, write_video
from tiny_processor import tiny_recognizer
from torch.utils.data import DataLoader, Dataset

from microemo.processing.clip_reading import ClipReader
from microemo.processing.reading_settings import ReadingSettings

SECONDS_BEFORE_A_WORKER_COUNTS_AS_HUNG = 60


class Clips(Dataset):
    """Reads the same video for every index, with face detection and speech recognition."""

    def __init__(self, reader, video):
        self.reader, self.video = reader, video

    def __len__(self):
        return 2

    def __getitem__(self, index):
        (clip,) = self.reader.read(self.video)
        return torch.from_numpy(clip.face_times)


@pytest.fixture
def used(tmp_path):
    """A reader after its first detection, and the video and clip of that."""
    video = write_video(tmp_path / "talk.mp4", drifting_portrait(count=12), waveform=tone(seconds=0.5))
    reader = ClipReader(ReadingSettings(num_frames=4, frame_size=48), recognizer=tiny_recognizer())
    (clip,) = reader.read(video)
    assert len(clip.face_times) and reader.detector.nets
    return reader, video, clip


def test_a_reader_can_be_pickled_after_use(used):
    reader, video, clip = used
    (again,) = pickle.loads(pickle.dumps(reader)).read(video)
    np.testing.assert_array_equal(again.face_crops, clip.face_crops)
    assert again.utterances == clip.utterances


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_persistent_workers_can_read_repeatedly(used, method):
    if method not in torch.multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this platform")
    reader, video, clip = used
    torch.randn(400, 400) @ torch.randn(400, 400)  # torch's own threads run before the fork as well
    loader = DataLoader(
        Clips(reader, video),
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=method,
        timeout=SECONDS_BEFORE_A_WORKER_COUNTS_AS_HUNG,
    )
    for _ in range(2):
        for times in loader:
            np.testing.assert_array_equal(times[0].numpy(), clip.face_times)
