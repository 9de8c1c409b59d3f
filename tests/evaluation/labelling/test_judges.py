"""Models, streams and files as judges, and the command."""

import json

import pytest
from labelled_clips import write_clip

from microemo.cli.main import main
from microemo.data.reader_registry import read_examples
from microemo.evaluation.labelling.judges import (
    AskedJudge,
    FileJudge,
    JudgeChoice,
    load_judges,
    stream_labels,
)
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.report.report import EvidenceReport


def finding(kind, label, seconds, certainty):
    return EvidenceReport(kind, label, 0.0, seconds, "", certainty)


def test_a_stream_names_what_it_shows_longest_and_most_surely():
    findings = [
        finding("face", "neutral", 1.0, 0.9),
        finding("face", "happiness", 4.0, 0.8),
        finding("face", "surprise", 2.0, 0.9),
        finding("voice", "anger", 4.0, 1.0),
        finding("scene", "no face", 4.0, None),
    ]
    assert stream_labels(findings, stream="face") == ("happiness", "surprise")
    assert stream_labels(findings, stream="voice") == ("anger",) and stream_labels(findings, stream="words") == ()


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("mini", JudgeChoice("mini", "")),
        ("mini#voice", JudgeChoice("mini#voice", "", "voice")),
        ("ours=runs/a/model", JudgeChoice("ours", "runs/a/model")),
        ("b=runs/a#face", JudgeChoice("b", "runs/a", "face")),
    ],
)
def test_choices(text, choice):
    assert JudgeChoice.parse(text) == choice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be mini, a model"),
        ("mini#nose", "must be one of face, voice"),
        ("file:x.csv", "no file x.csv"),
    ],
)
def test_choices_that_are_none(text, message):
    with pytest.raises(ValueError, match=message):
        JudgeChoice.parse(text)


def test_a_file_judges_by_the_clips_name(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("name,openset,discrete\na,\"['happy', 'proud']\",\nb,,sad\n", encoding="utf-8")
    judge = FileJudge("theirs", str(path))
    assert judge(tmp_path / "a.mp4").vote.labels == ("happy", "proud")
    assert "does not name the clip" in judge(tmp_path / "z.mp4").vote.error


def test_another_model_is_asked_in_words(tmp_path):
    class Answers:
        identity = "x"

        def __call__(self, example):
            assert "Emotions:" in example.turn.question
            return "Emotions: happy, proud.\nReason: she smiles." if example.example_id == "a" else "No idea"

    judge = AskedJudge("other", Answers())
    vote = judge(tmp_path / "a.mp4").vote
    assert vote.labels == ("happy", "proud") and vote.description == "she smiles."
    assert judge(tmp_path / "b.mp4").vote.labels == ()


@pytest.fixture
def one_analyzer(analyzer, monkeypatch):
    """The tiny analyzer in place of every model of this package; counts what it reads."""
    seen = []

    class Counting:
        def __getattr__(self, name):
            return getattr(analyzer, name)

        def __call__(self, video, **arguments):
            seen.append(video)
            return analyzer(video, transcript=[{"start": 0.1, "end": 1.5, "text": "At last"}], **arguments)

    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", lambda *_, **__: Counting())
    return seen


def test_streams_of_one_model_read_each_clip_once(one_analyzer, tmp_path):
    judges = load_judges([JudgeChoice.parse(text) for text in ("mini", "mini#words", "mini#voice")])
    video = write_clip(tmp_path / "a.mp4")
    opinions = [judge(video) for judge in judges]
    assert one_analyzer == [video]
    assert opinions[0].vote.labels and opinions[1].vote.labels and opinions[0].utterances[0].text == "At last"
    assert len({judge.identity for judge in judges}) == 3
    with pytest.raises(ValueError, match="different names"):
        load_judges([JudgeChoice.parse("mini")] * 2)


def test_the_command_writes_labels_that_training_reads(one_analyzer, tmp_path, capsys):
    for name in ("a", "b"):
        write_clip(tmp_path / "videos" / f"{name}.mp4")
    out = tmp_path / "labels.jsonl"
    asked = ["label", str(tmp_path / "videos"), "--out", str(out), "--quiet", "--min-agreement", "0"]
    assert main([*asked, "--judges", "mini,again=mini", "--max-entropy", "1"]) == 0
    printed = capsys.readouterr().out
    assert "clips kept" in printed and "| again | 1 | " in printed and "Krippendorff's alpha" in printed
    examples = list(read_examples("jsonl", out))
    assert [example.example_id for example in examples] == ["a", "b"] and examples[0].targets.open_labels
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows[0]["agreement"] == 1 and rows[0]["entropy"] == 0 and len(rows[0]["votes"]) == 2
    assert main([*asked, "--judges", "mini,again=mini"]) == 0 and len(one_analyzer) == 2, "opinions are kept"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--judges", "mini#nose"], "the stream must be one of"),
        (["--judges", "mini", "--weights", "mini=x"], "--weights (mini=x) must be JUDGE=NUMBER"),
        (["--judges", "mini", "--weights", "2"], "--weights (2) must be JUDGE=NUMBER"),
        (["--judges", "mini", "--min-agreement", "2"], "min_agreement (2.0) must be between 0 and 1"),
    ],
)
def test_unusable_arguments_are_named_and_nothing_is_written(one_analyzer, tmp_path, arguments, words, capsys):
    video = write_clip(tmp_path / "a.mp4")
    assert main(["label", str(video), "--out", str(tmp_path / "l.jsonl"), *arguments]) == 2
    assert words in capsys.readouterr().err and list(tmp_path.glob("l.*")) == []
