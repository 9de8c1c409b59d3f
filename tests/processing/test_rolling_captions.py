"""Each word of rolling captions is used once; ordinary subtitles are unchanged."""

import re

import pytest

from microemo.processing.transcript_formats import parse_transcript

SITE = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
\u0020
hello<00:00:00.480><c> and</c><00:00:00.640><c> welcome</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello and welcome
\u0020

00:00:02.399 --> 00:00:05.000 align:start position:0%
hello and welcome
to<00:00:02.600><c> the</c><00:00:02.900><c> show</c>

00:00:05.000 --> 00:00:05.010 align:start position:0%
to the show
\u0020

00:00:05.010 --> 00:00:08.000 align:start position:0%
to the show
<00:00:05.500><c>today</c>
"""
UNTIMED = re.sub(r"<[^>]*>", "", SITE)


def spoken(text):
    return [(each.start_seconds, each.end_seconds, each.text) for each in parse_transcript(text)]


def test_each_phrase_occurs_once_timed_by_its_words():
    assert spoken(SITE) == [
        (0.16, pytest.approx(1.64), "hello and welcome"),  # the last word stays on screen after it was spoken
        (2.399, pytest.approx(3.9), "to the show"),
        (5.5, 6.5, "today"),
    ]
    assert "rolling captions" in parse_transcript(SITE).warnings[0]


def test_two_cues_are_enough_with_word_times():
    text = (
        "WEBVTT\n\n00:00.000 --> 00:02.000\nhello there\n\n00:02.000 --> 00:04.000\nhello there\n"
        "<00:00:02.5><c>general</c><00:00:02.9><c> kenobi</c>\n"
    )
    assert spoken(text) == [(0.0, 2.0, "hello there"), (2.5, pytest.approx(3.9), "general kenobi")]


def test_each_phrase_occurs_once_timed_by_its_cue():
    assert spoken(UNTIMED) == [
        (0.16, 2.389, "hello and welcome"),
        (2.399, 5.0, "to the show"),
        (5.01, 8.0, "today"),
    ]


def cues(*entries):
    lines = [f"00:{start:06.3f} --> 00:{end:06.3f}\n{text}\n" for start, end, text in entries]
    return "WEBVTT\n\n" + "\n".join(lines)


def test_three_lines_that_scroll():
    text = cues((0, 1, "a b"), (1, 2, "a b\nc d"), (2, 3, "a b\nc d\ne f"), (3, 4, "c d\ne f\ng h"))
    assert [words for _, _, words in spoken(text)] == ["a b", "c d", "e f", "g h"]


def test_a_line_that_grows_word_by_word_is_one_phrase():
    text = cues((1, 1.5, "I"), (1.5, 2, "I want"), (2, 3, "I want you"), (4, 5, "Now."))
    assert spoken(text) == [(1.0, 3.0, "I want you"), (4.0, 5.0, "Now.")]


@pytest.mark.parametrize(
    "entries",
    [
        [(1, 1.5, "No."), (1.5, 2, "No. Never."), (2, 3, "Yes.")],
        [(1, 2, "Anna!"), (2, 3, "Anna!"), (3, 4, "Anna!")],
        [
            (1, 2, "Go."),
            (2, 3, "Go. Go."),
            (5, 6, "Go. Go. Now."),
            (8, 9, "Where?"),
            (9, 10, "There."),
            (10, 11, "Ah."),
        ],
    ],
)
def test_repeated_speech_is_kept(entries):
    assert spoken(cues(*entries)) == [(start, end, text) for start, end, text in entries]


def test_word_times_without_rolling_keep_their_cues():
    text = "WEBVTT\n\n00:02.500 --> 00:04.000\nWhere is <00:03.000>it?\n"
    assert spoken(text) == [(2.5, 4.0, "Where is it?")]
