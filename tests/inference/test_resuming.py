"""Analyses that are stopped and continued: nothing is done twice, and the report is that of one go."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from microemo.cli.main import main
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.array_json import from_plain, to_plain
from microemo.inference.request import AnalysisRequest
from microemo.processing.clip import Transcription, Utterance

LOOK = Utterance(0.2, 1.2, "看!", language="zh", language_probability=0.75, english="Look!")


class Recognizer:
    """Hears two utterances in any sound, and counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def transcribe(self, waveform, *, language=None, progress=None):
        self.asked += 1
        return Transcription([LOOK, Utterance(1.5, 2.8, "Where?", language="en")])


@pytest.fixture
def analyzer(make_analyzer):
    """Cuts the video in two chunks."""
    analyzer = make_analyzer(max_chunk_seconds=1.5)
    analyzer.reader.recognizer = Recognizer()
    return analyzer


def without_timings(report):
    return replace(report, timings=()).to_json()


def stop_after(analyzer, video, *, chunks, journal):
    stream = analyzer.stream(video, AnalysisRequest(mode="scores"), journal=journal)
    assert len(list(islice(stream, chunks))) == chunks
    stream.close()


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_it_goes_on_where_it_was_stopped(analyzer, video, tmp_path, chunks):
    journal = tmp_path / "new" / "video.jsonl"
    whole = analyzer(video, mode="scores")
    if chunks:
        stop_after(analyzer, video, chunks=chunks, journal=journal)
    analyzer.reader.recognizer.asked = 0
    read = []
    resumed = analyzer(video, mode="scores", journal=journal, progress=lambda stage, *_: read.append(stage))
    assert without_timings(resumed) == without_timings(whole)
    assert analyzer.reader.recognizer.asked == (0 if chunks else 1)
    assert read.count("model") == 2 * (2 - chunks)  # begun and done, for each chunk that was left
    assert len(journal.read_text().splitlines()) == 2 + 2


def test_windows_are_on_disk_before_the_next_one_begins(analyzer, video, tmp_path):
    journal = tmp_path / "video.jsonl"
    lines = []
    for _ in analyzer.stream(video, AnalysisRequest(mode="scores"), journal=journal):
        lines.append(len(journal.read_text().splitlines()))
    assert lines == [3, 4]


def test_a_line_that_was_cut_short_is_done_again(analyzer, video, tmp_path):
    journal = tmp_path / "video.jsonl"
    whole = analyzer(video, mode="scores", journal=journal)
    complete = journal.read_bytes()
    journal.write_bytes(complete[:-100])
    assert without_timings(analyzer(video, mode="scores", journal=journal)) == without_timings(whole)
    assert journal.read_bytes() == complete


def test_the_journal_of_another_analysis_is_refused(analyzer, video, tmp_path):
    journal = tmp_path / "video.jsonl"
    stop_after(analyzer, video, chunks=1, journal=journal)
    with pytest.raises(
        ValueError, match="journal of another analysis, which differs in mode .'scores', now 'explain'"
    ):
        analyzer(video, mode="explain", journal=journal)
    analyzer.model.model.face_head.static_expression.weight.data += 1
    with pytest.raises(ValueError, match="differs in model"):
        analyzer(video, mode="scores", journal=journal)


@pytest.mark.parametrize("text", ["not json\n", "[1, 2]\n", '{"a": 1}\n', "no line"])
def test_what_is_no_journal_is_refused_and_left_alone(analyzer, video, tmp_path, text):
    journal = tmp_path / "notes.txt"
    journal.write_text(text)
    with pytest.raises(ValueError, match="is no journal of an analysis"):
        analyzer(video, mode="scores", journal=journal)
    assert journal.read_text() == text


def test_a_journal_needs_a_file(analyzer, video, tmp_path):
    with pytest.raises(ValueError, match="a journal needs a file as source, got 'bytes'"):
        analyzer(video.read_bytes(), journal=tmp_path / "j.jsonl")


def test_the_command_resumes(make_analyzer, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", lambda *_, **__: make_analyzer(max_chunk_seconds=1.5))
    command = ["analyze", str(video), "--resume", str(tmp_path / "work"), "--mode", "scores", "--json", "--quiet"]
    assert main(command) == 0
    (journal,) = (tmp_path / "work").iterdir()
    assert journal.name == "clip.journal.jsonl"
    first = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert {**first, "timings": []} == {**again, "timings": []}
    assert main([*command[:1], "http://localhost/a.mp4", *command[2:]]) == 2
    assert "--resume needs videos on this machine" in capsys.readouterr().err


def test_values_come_back_bit_by_bit():
    array = np.array([0.1, np.nan, np.inf], dtype=np.float32)
    value = (Utterance(0.1, 1 / 3, "a"), frozenset({"b", "a"}), {"x": (1, None, True)}, array)
    utterance, names, mapping, same = from_plain(json.loads(json.dumps(to_plain(value))))
    assert (utterance, names, mapping) == value[:3]
    assert same.dtype == array.dtype and same.tobytes() == array.tobytes()


def test_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="class must be one of .* got 'Popen'"):
        from_plain({"class": "Popen", "args": "true"})
    with pytest.raises(ValueError, match="got object"):
        to_plain(object())


def test_language_and_english_are_in_the_report_and_in_the_journal(analyzer, video, tmp_path):
    journal = tmp_path / "video.jsonl"
    stop_after(analyzer, video, chunks=1, journal=journal)
    report = analyzer(video, mode="scores", journal=journal)
    first, second = report.utterances
    assert (first.text, first.language, first.language_probability, first.english) == ("看!", "zh", 0.75, "Look!")
    assert (second.language, second.english) == ("en", None)
    (words,) = (each for each in report.modalities if each.name == "words")
    assert words.used and words.note.startswith("speech recognition, English")


def test_words_without_english_are_reported_and_not_used(make_analyzer, video):
    report = make_analyzer()(video, mode="scores", transcript=[Utterance(0.2, 1.2, "你在看什么", language="zh")])
    (words,) = (each for each in report.modalities if each.name == "words")
    assert not words.used
    assert words.note == "transcript given, Chinese: no English text, which the language model needs"
    assert report.utterances[0].text == "你在看什么"
    assert "Chinese words at 0.2-1.2 s are not used: there is no English text of them" in report.warnings
