import numpy as np
import pytest

from microemo.processing.chunk_reading import FaceCrops
from microemo.processing.clip import Utterance
from microemo.processing.clip_assembly import attended_crops, blind_warnings
from microemo.processing.reading_settings import ReadingSettings

UTTERANCES = (Utterance(0, 2), Utterance(3, 5))


def two_people(times):
    """Crops of tracks 0 and 1 at every time; the pixel values are the track id."""
    count = len(times)
    ids = np.tile([0, 1], count)
    crops = np.broadcast_to(ids[:, None, None, None], (2 * count, 4, 4, 3)).astype(np.uint8)
    return FaceCrops(crops, np.repeat(np.asarray(times, dtype=float), 2), ids)


def test_crops_are_those_of_each_utterances_person():
    faces = attended_crops(two_people([0, 1, 2.5, 3, 4]), utterances=UTTERANCES, track_ids=(0, 1))
    assert faces.times.tolist() == [0, 1, 3, 4]
    assert faces.track_ids.tolist() == faces.crops[:, 0, 0, 0].tolist() == [0, 0, 1, 1]


def test_silence_can_belong_to_the_nearest_utterance():
    faces = attended_crops(two_people([2.2, 2.8, 9]), utterances=UTTERANCES, track_ids=(0, 1), everywhere=True)
    assert faces.track_ids.tolist() == [0, 1, 1]


def test_overlapping_utterances_attend_the_first():
    overlapping = (Utterance(0, 3), Utterance(2, 5))
    faces = attended_crops(two_people([1, 2.5, 4]), utterances=overlapping, track_ids=(0, 1))
    assert faces.times.tolist() == [1, 2.5, 4] and faces.track_ids.tolist() == [0, 0, 1]


def test_no_attended_person_gives_no_crops():
    assert len(attended_crops(two_people([1]), utterances=UTTERANCES, track_ids=(None, None)).times) == 0


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [(1 / 15, []), (0.25, ["up to 0.25 s lie between two frames"]), (9, ["an utterance contains no frame"])],
)
def test_long_gaps_give_a_warning(spacing, expected):
    times = np.arange(0, 9, spacing)
    warnings = blind_warnings(times, utterances=UTTERANCES, settings=ReadingSettings())
    assert len(warnings) == len(expected)
    for warning, start in zip(warnings, expected, strict=True):
        assert warning.startswith(start) and "max_blind_seconds (0.2)" in warning
