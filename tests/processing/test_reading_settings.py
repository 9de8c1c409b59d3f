import json
from dataclasses import asdict

import pytest

from microemo.processing.reading_settings import ReadingSettings


def test_json_round_trip():
    settings = ReadingSettings(face_fps=30, num_frames=8, backend="pyav")
    assert ReadingSettings(**json.loads(json.dumps(asdict(settings)))) == settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"face_fps": 0}, r"face_fps must be > 0 and finite, got 0"),
        ({"num_frames": -1}, r"num_frames must be >= 0 and finite, got -1"),
        ({"max_chunk_seconds": float("nan")}, "max_chunk_seconds must be > 0 and finite, got nan"),
        ({"detection_fps": 30}, r"detection_fps \(30\) must be <= face_fps \(15\)"),
    ],
)
def test_invalid_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ReadingSettings(**arguments)


def test_zero_frames_are_allowed():
    assert ReadingSettings(num_frames=0, min_frames_per_utterance=0).num_frames == 0
