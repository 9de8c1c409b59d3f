import json
import subprocess
import sys

import pytest

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.cli import COMMANDS, main
from microemo.inference.report import EmotionReport


@pytest.fixture
def command(make_analyzer, monkeypatch):
    """The command with a tiny model behind it; counts how often the model is loaded."""
    loads = []

    def from_pretrained(path_or_id, **arguments):
        loads.append((path_or_id, arguments))
        return make_analyzer()

    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", from_pretrained)
    main.loads = loads
    yield main
    del main.loads


@pytest.fixture
def transcript(tmp_path, spoken):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(spoken), encoding="utf-8")
    return str(path)


def test_it_prints_the_timeline(command, video, transcript, capsys):
    assert command(["analyze", str(video), "--transcript", transcript]) == 0
    out, err = capsys.readouterr()
    assert "[1] 0.2-1.2 s  Anna  “Look at that!”" in out and "[2] 1.5-2.8 s  “Where?”" in out
    assert "frames ..." in err and "explanations ..." in err


def test_json_is_all_that_json_prints(command, video, transcript, capsys):
    assert command(["analyze", str(video), "--transcript", transcript, "--json", "--mode", "scores"]) == 0
    report = EmotionReport.from_json(capsys.readouterr().out)
    assert report.settings.mode == "scores" and report.settings.transcript == transcript


def test_several_videos_one_load_one_line_each(command, video, tmp_path, capsys):
    other = tmp_path / "other.mp4"
    other.write_bytes(video.read_bytes())
    assert command(["analyze", str(video), str(other), "--json", "--quiet", "--mode", "scores"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["source"] for line in out.splitlines()] == [str(video), str(other)]
    assert err == "" and len(command.loads) == 1


def test_a_broken_video_does_not_stop_the_others(command, video, tmp_path, capsys):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video", encoding="utf-8")
    assert command(["analyze", str(broken), str(video), "--json", "--mode", "scores"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["source"] == str(video)
    assert "microemo: error:" in err and "broken.mp4" in err and "Traceback" not in err


def test_out_writes_a_file_or_a_folder(command, video, tmp_path, capsys):
    page, folder = tmp_path / "new" / "report.html", tmp_path / "results"
    assert command(["analyze", str(video), "--out", str(page), "--mode", "scores"]) == 0
    assert command(["analyze", str(video), "--out", str(folder), "--mode", "scores"]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"clip{ending}" for ending in (".csv", ".faces.csv", ".html", ".json", ".srt", ".vtt")
    ]
    assert f"wrote {page}" in capsys.readouterr().err


def test_the_options_reach_the_analyzer(command, video, capsys):
    assert command(["analyze", str(video), "--model", "m", "--device", "cpu", "--dtype", "float32", "--json"]) == 0
    ((path_or_id, arguments),) = command.loads
    assert path_or_id == "m" and arguments["device"] == "cpu" and arguments["dtype"] == "float32"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.mp4"], "no such file: missing.mp4"),
        (["{video}", "--transcript", "missing.srt"], "no such file: missing.srt"),
        (["{video}", "{video}", "--transcript", "a.srt"], "--transcript belongs to one video, got 2"),
        (["{video}", "--out", "report.docx"], "--out must end in one of .faces.csv, .json"),
        (["{video}", "other.mp4", "--out", "report.html"], "--out must be a folder for 2 videos"),
        (["{video}", "x/clip.mp4", "--out", "results"], "--out needs videos of different names"),
    ],
)
def test_wrong_usage_is_found_before_the_model_is_loaded(command, video, arguments, words, capsys):
    assert command(["analyze", *(argument.format(video=video) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err and command.loads == []


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("mode must be good"), 2, "error: mode must be good"),
        (PermissionError("closed"), 2, "error: closed"),
        (RuntimeError("out of memory"), 1, "error: out of memory  (--debug shows where it happened)"),
        (KeyboardInterrupt(), 130, "microemo: interrupted"),
    ],
)
def test_exit_codes(command, video, monkeypatch, capsys, error, code, words):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", fail)
    assert command(["analyze", str(video)]) == code
    assert words in capsys.readouterr().err


def test_debug_shows_the_traceback(command, video, monkeypatch, capsys):
    monkeypatch.setattr(EmotionAnalyzer, "__call__", lambda *_, **__: 1 / 0)
    assert command(["analyze", str(video), "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["analyse", "x.mp4"], ["analyze"], ["analyze", "x", "--mode", "guess"]])
def test_argparse_errors_are_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2 and "usage: microemo" in capsys.readouterr().err


def test_help_teaches_every_command(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as exit_:
            main([command.name, "--help"])
        out = capsys.readouterr().out
        assert exit_.value.code == 0 and "examples:" in out and "exit codes:" in out


def test_help_loads_no_analyzer():
    code = (
        "import sys\n"
        "from microemo.inference.cli import main\n"
        "try: main(['analyze', '--help'])\n"
        "except SystemExit: pass\n"
        "loaded = {'microemo.inference.analyzer', 'microemo.conversion.assemble_mini', 'silero_vad', 'gguf'}\n"
        "sys.exit(str(loaded & set(sys.modules)) if loaded & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("microemo ")
