"""The real microemo-mini through the command, on synthetic photographs."""

import json

import cv2
import pytest
from skimage import data

from microemo.cli.main import main


@pytest.mark.slow
def test_the_mini_is_measured_by_the_command(assembled_mini, tmp_path, capsys):
    """A smiling photograph is recognised, and repeating the command gives the same output."""
    cv2.imwrite(str(tmp_path / "smile.jpg"), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    (tmp_path / "labels.csv").write_text("file,emotion,identity\nsmile.jpg,happiness,a\n")
    out = tmp_path / "table.json"
    arguments = ["--dataset", f"stills:{tmp_path}", "--metrics", "expressions", "--out", str(out), "--quiet"]
    assert main(["evaluate", *arguments, "--model", f"mini={assembled_mini}"]) == 0
    first = capsys.readouterr().out
    (model,) = json.loads(out.read_text())["models"]
    assert model["model"] == "mini"
    assert {score["metric"]: score["value"] for score in model["scores"]}["Face alone WAR"] == 1
    assert main(["evaluate", *arguments, "--model", f"mini={assembled_mini}"]) == 0
    assert capsys.readouterr().out == first
