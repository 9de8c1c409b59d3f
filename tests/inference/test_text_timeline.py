from dataclasses import replace

import pytest

from microemo.inference.report.report import OutputStatus
from microemo.inference.report.text_timeline import format_span, format_timeline, wrap

EXPECTED = """\
clip.mp4  5.0 s, 2 utterances, 1 face
  + frames
  + faces: 1 person
  + voice
  + words: transcript clip.srt
model microemo-mini; face expressions: trained; micro-expressions: trained; emotions of the
  voice: trained; emotions: trained; explanations: trained
! faces are 0.25 s apart, farther than 0.2 s

[1] 0.4-2.9 s  Anna  “You came back. I never thought that you would.”
    face        happiness 0.72, neutral 0.20
    emotions    joy 0.81, relief 0.40
    in words    happy, relieved
    feeling     valence +0.60, arousal +0.30
    voice       joy 0.70, calm 0.25; pitch 211 Hz, +2.4 semitones, range 6.1; -1.5 dB, 4.8
                syllables/s, pauses 12%
    micro-expr. 0.90-1.20 s, apex 1.00 s, happiness, score 0.83, AU12 0.90, AU6 0.61
    why         She smiles at 1.0 s and her voice grows lighter.
                (1 sentence that nothing found backs left out)
    evidence    face: happiness 0.91 from 0.6 s on

[2] 3.1-4.5 s  Ben  “Of course.”

Whole clip
    face        happiness 0.72, neutral 0.20
    emotions    joy 0.81, relief 0.40
    micro-expr. 1
"""


def test_the_timeline(report):
    assert format_timeline(report, width=96) == EXPECTED
    assert str(report) == format_timeline(report)


@pytest.mark.parametrize("width", [40, 57, 80, 200])
def test_no_line_is_wider_than_asked(report, width):
    long = replace(report.utterances[0], text="word " * 60 + "w" * 300 + " 你好" * 80)
    lines = format_timeline(replace(report, utterances=(long,)), width=width).splitlines()
    assert all(sum(2 if "\u4e00" <= c <= "\u9fff" else 1 for c in line) <= width for line in lines)
    assert "".join("".join(lines).split()).count("你好") == 80


def test_words_cannot_steer_the_terminal(report):
    evil = replace(report.utterances[0], text="\x1b[31mred\x07 \u202eback\nline", speaker="A\x1b[2J")
    text = format_timeline(replace(report, utterances=(evil,)))
    assert not set("\x1b\x07\u202e") & set(text)
    assert "line”" in text


def test_untrained_outputs_are_named(report):
    status = OutputStatus("trained", "untrained", "untrained", "not_requested")
    text = format_timeline(replace(report, status=status), width=200)
    assert "emotions: untrained (not shown); explanations: not requested" in text


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0.44, 2.86, "0.4-2.9 s"),
        (59.0, 61.0, "0:59.0-1:01.0"),
        (3599.96, 3661.0, "1:00:00.0-1:01:01.0"),
    ],
)
def test_spans(start, end, text):
    assert format_span(start, end) == text


def test_wrapping_keeps_every_word():
    text = "the quick brown fox jumps over the lazy dog"
    lines = wrap(text, width=12, indent="  ", hanging="    ")
    assert " ".join(" ".join(lines).split()) == text and max(map(len, lines)) <= 12
    assert wrap("", width=12) == []
