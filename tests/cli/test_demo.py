import sys

import pytest

from microemo.cli.main import EXIT_BAD_INPUT, EXIT_OK, main

launching = pytest.importorskip("microemo.spaces_demo.launching", reason="needs Gradio (pip install gradio)")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


@pytest.fixture
def launched(monkeypatch):
    """What the command would start: settings and arguments of each launch."""
    started = []
    monkeypatch.setattr(launching, "make_runner", lambda settings: "runner")
    monkeypatch.setattr(launching, "launch", lambda run, **asked: started.append((run, asked)))
    return started


def test_the_command_serves_the_spaces_page(launched, monkeypatch):
    monkeypatch.setenv("MICROEMO_MODEL", "from/environment")
    assert main(["demo", "--port", "7999", "--no-browser"]) == EXIT_OK
    run, asked = launched[0]
    assert run == "runner" and asked["settings"].model == "from/environment"
    assert (asked["host"], asked["port"], asked["open_browser"]) == ("127.0.0.1", 7999, False)


def test_arguments_outweigh_the_environment(launched, monkeypatch):
    monkeypatch.setenv("MICROEMO_MODEL", "from/environment")
    assert main(["demo", "--model", "mine", "--device", "cpu"]) == EXIT_OK
    settings = launched[0][1]["settings"]
    assert (settings.model, settings.device) == ("mine", "cpu")


def test_a_missing_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo"]) == EXIT_BAD_INPUT
    assert 'pip install "microemo[demo]"' in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said(monkeypatch, capsys, tmp_path):
    def refuse(settings):
        raise ValueError(f"there is no folder {settings.model}")

    monkeypatch.setattr(launching, "make_runner", refuse)
    assert main(["demo", "--model", str(tmp_path / "none")]) == EXIT_BAD_INPUT
    assert "there is no folder" in capsys.readouterr().err
