import csv
import io
import os
from dataclasses import replace

import pysubs2
import pytest

from microemo.inference.report.export import WRITERS, save_all, save_report, write_atomically
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.subtitles import to_srt, to_vtt
from microemo.inference.report.tables import to_csv, to_faces_csv


def with_words(report, text, speaker=None):
    first = replace(report.utterances[0], text=text, speaker=speaker)
    return replace(report, utterances=(first, *report.utterances[1:]))


@pytest.mark.parametrize(("write", "form"), [(to_srt, "srt"), (to_vtt, "vtt")])
def test_subtitles_parse_back(report, write, form):
    events = pysubs2.SSAFile.from_string(write(report), format_=form)
    assert [(event.start, event.end) for event in events] == [(400, 2900), (3100, 4500)]
    assert "You came back." in events[0].plaintext and "Of course." in events[1].plaintext
    assert "happy, relieved; face: happiness 0.72; micro-expression of happiness at 1.00 s" in events[0].plaintext


def in_chinese(report):
    first = replace(report.utterances[0], text="你回来了。", language="zh", english="You <came> back.")
    return replace(report, utterances=(first, *report.utterances[1:]))


@pytest.mark.parametrize(("write", "form"), [(to_srt, "srt"), (to_vtt, "vtt")])
def test_english_is_the_second_line_of_a_subtitle(report, write, form):
    first, second = pysubs2.SSAFile.from_string(write(in_chinese(report)), format_=form)
    words, english, findings = first.plaintext.split("\n")
    assert words.endswith("你回来了。") and "came" in english and findings.startswith("[happy")
    assert len(second.plaintext.split("\n")) == 1
    assert "<came>" not in write(in_chinese(report))


def test_csv_has_language_and_english(report):
    rows = list(csv.DictReader(io.StringIO(to_csv(in_chinese(report)))))
    assert (rows[0]["text"], rows[0]["language"], rows[0]["english"]) == ("你回来了。", "zh", "You <came> back.")
    assert rows[1]["english"] == ""


def test_timeline_and_json_have_english(report):
    changed = in_chinese(report)
    assert "    English     “You <came> back.”" in str(changed).splitlines()
    assert EmotionReport.from_json(changed.to_json()) == changed


def test_subtitles_say_nothing_that_was_not_measured(report):
    assert to_srt(report).split("\n\n")[1].strip() == "2\n00:00:03,100 --> 00:00:04,500\nBen: Of course."


@pytest.mark.parametrize(
    "words", ["a\n\n7\n00:00:00,000 --> 00:00:09,000\nfake", "{\\an8}top", "<b>bold</b> <i", "a --> b"]
)
def test_words_cannot_add_cues_or_markup(report, words):
    for write, form in ((to_srt, "srt"), (to_vtt, "vtt")):
        events = pysubs2.SSAFile.from_string(write(with_words(report, words)), format_=form)
        assert [event.start for event in events] == [400, 3100]
        assert len(write(with_words(report, words)).split("-->")) == 3


def test_vtt_keeps_words_and_speaker_through_its_escapes(report):
    cue = to_vtt(with_words(report, "5 < 6 & 7 > 6", speaker="A & B")).split("\n")
    assert "<v A &amp; B>5 &lt; 6 &amp; 7 &gt; 6</v>" in cue


def test_times_past_an_hour(report):
    late = replace(report.utterances[0], start_seconds=3723.0456, end_seconds=3725.0)
    assert "01:02:03,046 --> 01:02:05,000" in to_srt(replace(report, utterances=(late,)))


def test_csv_has_a_row_for_each_utterance(report):
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [row["start_seconds"] for row in rows] == ["0.4", "3.1"]
    assert rows[0]["expressions"] == "happiness:0.72;neutral:0.2;surprise:0.08"
    assert rows[0]["micro_expressions"] == "0.9-1.0-1.2:happiness:0.83"
    assert rows[0]["voice_emotions"] == "joy:0.7;calm:0.25;fear:0.05"
    assert (rows[0]["pitch_semitones"], rows[0]["pause_share"], rows[1]["pitch_hertz"]) == ("2.4", "0.12", "")
    assert rows[1]["emotions"] == rows[1]["valence"] == rows[1]["micro_expressions"] == ""


def test_faces_csv_has_a_row_for_each_moment(report):
    rows = list(csv.DictReader(io.StringIO(to_faces_csv(report))))
    face = report.face_curves[0]
    assert [float(row["timestamp"]) for row in rows] == list(face.times)
    assert [float(row["happiness"]) for row in rows] == list(face.expressions[1].probabilities)
    assert [float(row["micro_score"]) for row in rows] == list(face.micro_scores)


@pytest.mark.parametrize(
    ("words", "cell"),
    [("=1+1", "'=1+1"), ("@cmd", "'@cmd"), ("-2+3", "'-2+3"), ("- You came.", "- You came."), ('"x", y', '"x", y')],
)
def test_csv_cells_are_no_formulas(report, words, cell):
    rows = list(csv.DictReader(io.StringIO(to_csv(with_words(report, words)))))
    assert rows[0]["text"] == cell


def test_every_format_is_saved(report, tmp_path):
    paths = save_all(report, tmp_path / "new" / "folder", stem="clip")
    assert [path.name for path in paths] == [f"clip{ending}" for ending in WRITERS]
    assert all(path.stat().st_size > 0 for path in paths)
    assert EmotionReport.from_json((tmp_path / "new/folder/clip.json").read_text(encoding="utf-8")) == report


def test_the_longer_ending_wins(report, tmp_path):
    assert save_report(report, tmp_path / "a.faces.csv").read_text(encoding="utf-8") == to_faces_csv(report)
    assert report.save(tmp_path / "a.csv").read_text(encoding="utf-8") == to_csv(report)


def test_an_unknown_ending_is_refused(report, tmp_path):
    with pytest.raises(ValueError, match=r"path must end in one of .*\.json.*got 'clip.docx'"):
        save_report(report, tmp_path / "clip.docx")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old", encoding="utf-8")

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
