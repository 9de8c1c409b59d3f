"""SRT and WebVTT as they are found: clocks, notes, identifiers, broken cues."""

import pytest

from microemo.processing.clip import Utterance
from microemo.processing.transcript_formats import parse_transcript


def srt(times, words="hello"):
    return f"1\n{times}\n{words}\n"


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        ("100:00:01,000 --> 100:00:02,000", 360_001.0, 360_002.0),
        ("00:01 --> 00:02", 1.0, 2.0),
        ("01:02,5 --> 01:03,25", 62.5, 63.25),
        ("00:00:01 --> 00:00:02", 1.0, 2.0),
        ("00:00:01.000-->00:00:02.000", 1.0, 2.0),
        ("00:00:01,000 --> 00:00:02,000  X1:40 X2:600 Y1:20 Y2:50", 1.0, 2.0),
        ("1.5 --> 2.5", 1.5, 2.5),
        ("00:00:01:12 --> 00:00:02:00", 1.48, 2.0),
    ],
)
@pytest.mark.parametrize("head", ["", "WEBVTT\n\n"])
def test_clocks_of_cues(head, times, start, end):
    (utterance,) = parse_transcript(head + srt(times))
    assert (utterance.start_seconds, utterance.end_seconds) == pytest.approx((start, end))
    assert utterance.text == "hello"


VTT = """WEBVTT - a title
Kind: captions

STYLE
::cue { color: red }

NOTE a --> b

NOTE
00:00:09.000 --> 00:00:10.000
not spoken

intro
00:00:01.000 --> 00:00:02.000 align:start position:0%
Look <i>at</i> that!

- second cue
00:00:03.000 --> 00:00:04.000
I &lt;3 you & me
"""


def test_notes_styles_and_identifiers_are_not_spoken():
    assert parse_transcript(VTT) == (Utterance(1, 2, "Look at that!"), Utterance(3, 4, "I <3 you & me"))


def test_an_arrow_in_the_words_is_no_cue():
    text = srt("00:00:01,000 --> 00:00:02,000", "File --> Open")
    assert parse_transcript(text) == (Utterance(1, 2, "File --> Open"),)


def test_numbers_that_are_spoken_stay():
    text = srt("00:00:01,000 --> 00:00:02,000", "How many?\n42") + "\n2\n00:00:03,000 --> 00:00:04,000\nYes\n"
    assert [utterance.text for utterance in parse_transcript(text)] == ["How many? 42", "Yes"]


def test_empty_lines_within_a_cue_and_cues_without_lines_between_them():
    text = "1\n00:00:01,000 --> 00:00:02,000\nover\n\ntwo lines\n2\n00:00:03,000 --> 00:00:04,000\nYes"
    assert [utterance.text for utterance in parse_transcript(text)] == ["over two lines", "Yes"]


def test_positions_of_ass_in_srt_are_not_spoken():
    assert parse_transcript(srt("00:00:01,000 --> 00:00:02,000", r"{\an8}<font color=red>Hi</font>"))[0].text == "Hi"


def test_ass_is_read_with_its_names():
    text = (
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, "
        "MarginV, Effect, Text\nDialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,{\\i1}Look{\\i0} there\n"
    )
    assert parse_transcript(text) == (Utterance(1, 2, "Look there", "Anna"),)


def test_microdvd_counts_the_videos_frames(tmp_path):
    path = tmp_path / "talk.sub"
    path.write_text("{25}{50}Hello\n{75}{100}you\n")
    assert parse_transcript(path, frame_rate=25.0) == (Utterance(1, 2, "Hello"), Utterance(3, 4, "you"))
