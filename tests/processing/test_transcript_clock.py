"""Times as transcripts write them, and the unit of whole numbers."""

import numpy as np
import pytest

from microemo.processing.transcript_clock import are_milliseconds, choose_frame_rate, read_time


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("00:01:02,500", 62.5),
        ("100:00:01,000", 360_001.0),
        ("01:02", 62.0),
        ("01:02.5", 62.5),
        ("62:03", 3723.0),
        ("1:00:00", 3600.0),
        ("1.5s", 1.5),
        ("1500 ms", 1.5),
        (" 2.25 ", 2.25),
        ("1e1", 10.0),
        (3, 3.0),
    ],
)
def test_times_in_seconds(value, seconds):
    assert read_time(value).value == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", None, "soon", "nan", float("nan"), float("inf"), "1:2:3:4:5", True, [1]])
def test_what_is_no_time(value):
    assert read_time(value) is None


@pytest.mark.parametrize(
    ("clock", "rate", "seconds"),
    [
        ("00:00:01:12", 25, 1.48),
        ("00:00:01:12", 24, 1.5),
        ("00:01:00:00", 30_000 / 1001, 60.06),  # 1800 frames at 29.97 a second
        ("00:01:00;02", 30_000 / 1001, 60.06),  # the same frame: numbers 0 and 1 of the minute are left out
        ("00:10:00;00", 30_000 / 1001, 599.9994),  # 17,982 frames
    ],
)
def test_times_in_frames(clock, rate, seconds):
    assert read_time(clock, frame_rate=rate).value == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "video", "rate"),
    [
        (["00:00:01,000", 5], 25.0, None),
        (["00:00:01:12"], None, 25.0),
        (["00:00:01:12", "00:00:02:29"], None, 30.0),
        (["00:00:01;12"], None, 30_000 / 1001),
        (["00:00:01:12"], 23.976, 23.976),
        (["00:00:01:29"], 25.0, 30.0),  # numbers that this video's frames do not have
    ],
)
def test_the_rate_of_times_in_frames(values, video, rate):
    assert choose_frame_rate(values, video=video) == rate


@pytest.mark.parametrize(
    ("spans", "characters", "duration", "milliseconds"),
    [
        ([(240, 26_560)], 300, 27.0, True),
        ([(240, 26_560)], 300, None, True),
        ([(0, 1200), (1200, 2400)], 30, None, True),
        ([(0, 2), (3, 7)], 20, None, False),
        ([(0, 80), (100, 180)], 8, 2.0, True),  # words of 80 ms: as seconds they lie beyond the video
        ([(500, 503), (510, 512)], 20, 60.0, False),  # of another part of the film: 3 ms is no utterance
        ([(0, 1200), (1200, 2400)], 30_000, 3600.0, False),  # nobody says so much in 2.4 s
    ],
)
def test_whole_numbers_are_milliseconds(spans, characters, duration, milliseconds):
    starts, ends = np.array(spans, dtype=float).T
    assert are_milliseconds(starts, ends, characters=characters, duration_seconds=duration) is milliseconds
