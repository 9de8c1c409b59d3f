"""`microemo ask`."""

import json

import pytest

from microemo.cli.main import main
from microemo.inference.analyzer import EmotionAnalyzer


@pytest.fixture
def saved(report, tmp_path):
    return str(report.save(tmp_path / "clip.json"))


@pytest.fixture
def no_model(monkeypatch):
    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", None)  # called, it would raise


@pytest.mark.usefixtures("no_model")
def test_a_report_answers_at_once(saved, capsys):
    assert main(["ask", saved, "How often does Anna smile?"]) == 0
    assert capsys.readouterr().out == "2 times: 0.52-1.28 s, 1.92-2.68 s\n"
    assert main(["ask", saved, "How often does Anna smile while Ben speaks?", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["value"] is None and answer["spans"] == [[3.1, 4.5]] and answer["answered_by"] == "report"


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{saved}", "Why does she smile?"], "no model is loaded for a report: ask about the video itself"),
        (["{saved}", "How often does Ben smile?"], "asks about Ben"),
        (["{saved}", "How often does she smile?", "--model", "m"], "--model belongs to a video, got the report"),
        (["missing.mp4", "How often does she smile?"], "no such file: missing.mp4"),
    ],
)
def test_what_cannot_be_answered(saved, arguments, words, capsys):
    assert main(["ask", *(argument.format(saved=saved) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err


def test_a_video_is_analysed(make_analyzer, video, spoken, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", lambda *_, **__: make_analyzer())
    transcript = tmp_path / "clip.json"
    transcript.write_text(json.dumps(spoken), encoding="utf-8")
    arguments = ["--transcript", str(transcript), "--quiet"]
    assert main(["ask", str(video), "When does Anna speak?", *arguments]) == 0
    assert capsys.readouterr().out == "0.20-1.20 s\n"
    assert main(["ask", str(video), "Why does she look up?", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["answered_by"] == "model"
