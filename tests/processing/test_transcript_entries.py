"""One faulty entry is mended or left out with a warning that names it; the others stay as they are."""

import re

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.transcript_formats import parse_transcript

GOOD = {"start": 0.5, "end": 2.0, "text": "one"}


def entry(start, end, text="two"):
    return {"start": start, "end": end, "text": text}


@pytest.mark.parametrize(
    ("faulty", "duration", "mended", "warning"),
    [
        (
            entry(2.5, None),
            4.0,
            Utterance(2.5, 4.0, "two"),
            r"entry 2 'two': it has no end; it is now at 2\.50-4\.00 s",
        ),
        (entry(2.5, None), None, Utterance(2.5, 2.9, "two"), "it has no end"),
        (entry(2.5, None), 600.0, Utterance(2.5, 32.5, "two"), "it has no end"),
        (entry(3.0, 2.5), 4.0, Utterance(3.0, 4.0, "two"), r"entry 2 'two': end_seconds \(2\.5\) must be > start_sec"),
        (entry(-0.5, 0.25), 4.0, Utterance(0.0, 0.25, "two"), r"entry 2 'two': start_seconds \(-0\.5\) must be >= 0"),
        (entry(-2, -1), 4.0, None, r"left out: transcript, entry 2: start_seconds \(-2\)"),
        (
            entry("soon", 3.0),
            4.0,
            None,
            "left out: transcript, entry 2: start and end must be times, got 'soon' and 3",
        ),
        (entry(float("nan"), 3.0), 4.0, None, "left out: transcript, entry 2: start and end must be times"),
    ],
)
def test_a_faulty_entry_does_not_cost_the_others(faulty, duration, mended, warning):
    transcript = parse_transcript([GOOD, faulty], duration_seconds=duration)
    assert transcript == (Utterance(0.5, 2.0, "one"), *([] if mended is None else [mended]))
    (told,) = transcript.warnings
    assert re.search(warning, told)


def test_an_entry_without_an_end_ends_where_the_next_begins():
    transcript = parse_transcript([entry(0.0, None, "one"), entry(1.5, 2.0)], duration_seconds=9.0)
    assert transcript == (Utterance(0.0, 1.5, "one"), Utterance(1.5, 2.0, "two"))


def test_a_cue_that_ends_before_it_starts_does_not_refuse_the_file():
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:05,000 --> 00:00:04,000\ntwo\n\n"
        "3\n00:00:06,000 --> 00:00:07,000\nthree\n"
    )
    transcript = parse_transcript(text)
    assert transcript == (Utterance(1, 2, "one"), Utterance(5, 6, "two"), Utterance(6, 7, "three"))
    assert "entry 2 'two'" in transcript.warnings[0]


def test_a_cue_without_readable_times_is_named():
    text = "1\n00:00:01,000 --> 00:00:02,000\none\n\n2\nsoon --> 00:00:04,000\ntwo\n"
    transcript = parse_transcript(text)
    assert transcript == (Utterance(1, 2, "one"),)
    assert "'soon --> 00:00:04,000'" in transcript.warnings[0]


def test_milliseconds_are_told_by_the_length_of_the_video():
    transcript = parse_transcript([{"start": 240, "end": 26_560, "text": "words"}], duration_seconds=27.0)
    assert transcript == (Utterance(0.24, 26.56, "words"),)
    assert "read as milliseconds" in transcript.warnings[0]


@pytest.mark.parametrize(
    "text", ["start\tend\ttext\n500\t2000\tone", '{"segments": [{"start": 500, "end": 2000, "text": "one"}]}']
)
def test_milliseconds_are_told_in_tables_and_json(text):
    assert parse_transcript(text) == (Utterance(0.5, 2.0, "one"),)


def test_decimal_and_clock_times_are_never_milliseconds():
    spans = [{"start": 240.5, "end": 26_560.5, "text": "one"}]
    assert parse_transcript(spans, duration_seconds=27.0)[0].start_seconds == 240.5
    assert parse_transcript("start,end,text\n00:04:00,00:08:00,one")[0] == Utterance(240.0, 480.0, "one")


def test_a_named_unit_is_believed_in_every_format():
    assert parse_transcript([{"start_ms": 5, "end_ms": 90, "text": "oh"}]) == (Utterance(0.005, 0.09, "oh"),)


def test_whole_numbers_that_fit_in_no_unit_are_refused():
    with pytest.raises(
        ValueError, match=r"from 24000000 to 26560000, which fit the video \(it ends at 27\.00 s\) neither"
    ):
        parse_transcript([{"start": 24_000_000, "end": 26_560_000, "text": "words"}], duration_seconds=27.0)


def test_a_length_in_place_of_an_end():
    assert parse_transcript([{"start": 1.0, "duration": 2.0, "text": "hey"}]) == (Utterance(1.0, 3.0, "hey"),)


def test_times_in_frames_are_told():
    text = "1\n00:00:01:12 --> 00:00:02:00\nhello\n"
    transcript = parse_transcript(text, frame_rate=24.0)
    assert transcript == (Utterance(1.5, 2.0, "hello"),)
    assert "read at 24.00 frames a second, the video's own" in transcript.warnings[0]
    assert parse_transcript(text)[0].start_seconds == pytest.approx(1.48)
