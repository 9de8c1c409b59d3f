import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from microemo.cli.main import COMMANDS, main
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.report.report import EmotionReport
from microemo.training.recipe import packaged_recipes


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
        f"clip{ending}" for ending in (".TextGrid", ".csv", ".eaf", ".faces.csv", ".html", ".json", ".srt", ".vtt")
    ]
    assert f"wrote {page}" in capsys.readouterr().err


def test_the_options_reach_the_analyzer(command, video, capsys):
    assert command(["analyze", str(video), "--model", "m", "--device", "cpu", "--dtype", "float32", "--json"]) == 0
    ((path_or_id, arguments),) = command.loads
    assert path_or_id == "m" and arguments["device"] == "cpu" and arguments["dtype"] == "float32"


def test_a_video_out_of_a_pipe(command, video, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(video.open("rb")))
    assert command(["analyze", "-", "--json", "--mode", "scores", "--out", str(tmp_path / "new")]) == 0
    report = EmotionReport.from_json(capsys.readouterr().out)
    assert report.duration_seconds == pytest.approx(3.0, abs=0.1)
    assert (tmp_path / "new").is_dir() and any((tmp_path / "new").glob("*.json"))


@pytest.mark.skipif(sys.platform == "win32", reason="no process substitution")
def test_a_shells_process_substitution(command, video, capsys):
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb") as pipe:
            pipe.write(video.read_bytes())

    threading.Thread(target=write, daemon=True).start()
    assert command(["analyze", f"/dev/fd/{reading}", "--json", "--mode", "scores"]) == 0
    assert EmotionReport.from_json(capsys.readouterr().out).source == f"/dev/fd/{reading}"


def test_a_folder_of_frames_at_its_rate(command, tmp_path, capsys):
    folder = tmp_path / "sub01"
    folder.mkdir()
    for number in range(1, 41):
        Image.fromarray(np.full((90, 120, 3), 90, dtype=np.uint8)).save(folder / f"img{number}.jpg")
    (folder / "img7.jpg").unlink()
    assert command(["analyze", str(folder), "--fps", "200", "--json", "--mode", "scores"]) == 0
    report = EmotionReport.from_json(capsys.readouterr().out)
    assert report.source == str(folder) and report.duration_seconds == pytest.approx(0.2)
    assert "1 of 40 frames are missing (7): gaps are left for them" in report.warnings


def test_an_audio_track_may_be_named(command, video, capsys):
    assert command(["analyze", str(video), "--audio-track", "0", "--json", "--mode", "scores"]) == 0
    assert command(["analyze", str(video), "--audio-track", "2"]) == 2
    assert "audio_track must be one of the file's audio tracks (it has 1, numbered from 0)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}"], "is a folder: --fps says how many of its pictures make a second"),
        (["{folder}", "--fps", "0"], "--fps must be > 0, got 0"),
        (["{video}", "--fps", "25"], "--fps belongs to a folder of pictures"),
        (["{video}", "--audio-track", "-1"], "--audio-track must be >= 0, got -1"),
        (["-", "--resume", "work"], "--resume needs video files"),
        (["missing.mp4"], "no such file: missing.mp4"),
        (["{video}", "--transcript", "missing.srt"], "no such file: missing.srt"),
        (["{video}", "{video}", "--transcript", "a.srt"], "--transcript belongs to one video, got 2"),
        (["{video}", "--out", "report.docx"], "--out must end in one of .faces.csv, .json"),
        (["{video}", "other.mp4", "--out", "report.html"], "--out must be a folder for 2 videos"),
        (["{video}", "x/clip.mp4", "--out", "results"], "--out needs videos of different names"),
        (["{video}", "--out", "{video}/results"], "/results cannot be written: "),
        (["{video}", "--out", "{video}/new/report.html"], "/new/report.html cannot be written: "),
        (["{video}", "--person", "bob"], "--person must be speaker, largest or the number of a face track, got 'bob'"),
        (["{video}", "--transcript", "{prose}"], "prose.txt is no transcript of a known format"),
        (["{video}", "--transcript", "{prose}"], "SRT, VTT, ASS, TSV, CSV, JSON"),
    ],
)
def test_wrong_usage_is_found_before_the_model_is_loaded(command, video, tmp_path, arguments, words, capsys):
    prose = tmp_path / "prose.txt"
    prose.write_text("It was a dark and stormy night.", encoding="utf-8")
    names = {"video": video, "prose": prose, "folder": tmp_path}
    assert command(["analyze", *(argument.format(**names) for argument in arguments)]) == 2
    assert words in capsys.readouterr().err and command.loads == []


def test_a_broken_transcript_is_named(command, video, tmp_path, capsys):
    broken = tmp_path / "broken.json"
    broken.write_text('{"segments": [', encoding="utf-8")
    assert command(["analyze", str(video), "--transcript", str(broken)]) == 2
    err = capsys.readouterr().err
    assert str(broken) in err and "SRT, VTT" in err and str(video) not in err and command.loads == []


def test_an_address_that_nobody_serves_is_bad_input(command, capsys):
    with socket.socket() as unheard:  # bound and not listening: the port refuses, and nobody else takes it
        unheard.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unheard.getsockname()[1]}/x.mp4"
        assert command(["analyze", address]) == 2
    assert f"error: {address} cannot be downloaded: connection refused\n" in capsys.readouterr().err


def test_libraries_are_quiet_while_the_model_loads_and_no_longer(make_analyzer, video, monkeypatch):
    def from_pretrained(path_or_id, **arguments):
        warnings.warn("for programmers", UserWarning, stacklevel=1)
        return make_analyzer()

    monkeypatch.setattr(EmotionAnalyzer, "from_pretrained", from_pretrained)
    level = logging.getLogger("transformers").level
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        assert main(["analyze", str(video), "--mode", "scores", "--quiet"]) == 0
        assert warnings.filters == filters
    assert "for programmers" not in {str(warning.message) for warning in seen}
    assert logging.getLogger("transformers").level == level


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


def test_names_of_files_cannot_steer_the_terminal(command, capsys):
    assert command(["analyze", "\x1b]0;owned\x07\x9b2Jclip.mp4"]) == 2
    error = capsys.readouterr().err
    assert "clip.mp4" in error and not {"\x1b", "\x07", "\x9b"} & set(error)


def test_debug_shows_the_traceback(command, video, monkeypatch, capsys):
    monkeypatch.setattr(EmotionAnalyzer, "__call__", lambda *_, **__: 1 / 0)
    assert command(["analyze", str(video), "--debug"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["analyse", "x.mp4"], ["analyze", "x", "--mode", "guess"]])
def test_argparse_errors_are_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2 and "usage: microemo" in capsys.readouterr().err


def test_analyze_needs_a_video_or_a_manifest(capsys):
    assert main(["analyze"]) == 2
    assert "give a VIDEO, or --manifest" in capsys.readouterr().err


def test_help_teaches_every_command(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit) as exit_:
            main([command.name, "--help"])
        out = capsys.readouterr().out
        assert exit_.value.code == 0 and "examples:" in out and "exit codes:" in out


def test_help_of_evaluate_tells_defaults_and_families(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--metrics FAMILY" in out and "closed-set" in out and "default: 1000" in out and "130 interrupted" in out


def test_the_list_of_recipes_says_what_each_is_for(capsys):
    assert main(["train", "--list"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {*packaged_recipes(), "mini"}
    assert lines["qlora"] == "As lora.yaml, with the language model in 4 bits"


def test_help_loads_no_analyzer():
    code = (
        "import sys\n"
        "from microemo.cli.main import main\n"
        "try: main(['analyze', '--help'])\n"
        "except SystemExit: pass\n"
        "loaded = {'microemo.inference.analyzer', 'microemo.conversion.mini.assemble_mini', 'silero_vad', 'gguf'}\n"
        "sys.exit(str(loaded & set(sys.modules)) if loaded & set(sys.modules) else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("microemo ")
