import cv2
import numpy as np
import pytest
from labelled_clips import write_csv

from microemo.data.identities import split_of
from microemo.data.reader_registry import read_examples
from microemo.data.readers.labelled_faces import read_stills
from microemo.processing.clip_reading import ClipReader

PEOPLE = [f"person {number}" for number in range(40)]


@pytest.fixture
def stills(tmp_path):
    rows = [(f"{number}.jpg", ("neutral", "fear")[number % 2], name) for number, name in enumerate(PEOPLE)]
    write_csv(tmp_path / "labels.csv", ("file", "emotion", "identity"), *rows)
    return tmp_path


def test_a_still_is_a_video_with_a_class(stills):
    first, second, *_ = read_examples("stills", stills)
    assert (first.example_id, first.video) == ("still_0", str(stills / "0.jpg"))
    assert [each.targets.closed_label for each in (first, second)] == ["neutral", "fear"]


def test_splits_equal_those_of_synthesis(stills):
    found = {
        split: {each.example_id for each in read_stills(stills, split=split)} for split in ("train", "validation")
    }
    for split, names in found.items():
        assert names == {f"still_{number}" for number, name in enumerate(PEOPLE) if split_of(name) == split}
    assert found["train"] and not found["train"] & found["validation"]


def test_another_split_is_refused(stills):
    with pytest.raises(ValueError, match="split .'dev'. must be one of train, validation, test, all"):
        list(read_stills(stills, split="dev"))


def test_a_photograph_can_be_read_as_a_clip(stills):

    cv2.imwrite(str(stills / "0.jpg"), np.full((64, 48, 3), 120, np.uint8))
    (clip,) = ClipReader(detector=None).read(next(read_stills(stills)).video)
    assert clip.frames.shape == (1, 64, 48, 3) and clip.frame_times.tolist() == [0.0]
