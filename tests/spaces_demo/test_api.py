"""The demo as programs use it: the example of the Space's README runs."""

import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from demo_models import quick_report

from microemo.inference.report.report import EmotionReport

gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio (pip install gradio)")

README = (Path(__file__).parents[2] / "spaces_demo" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def client(server, tmp_path):
    return gradio_client.Client(server.address, verbose=False, download_files=str(tmp_path / "downloads"))


def test_the_documented_example_runs(server, clip, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    address = re.search(r'Client\("(.*?)"\)', code)[1]
    monkeypatch.chdir(clip.parent)
    clip.rename("clip.mp4")
    exec(compile(code.replace(address, server.address), "README.md", "exec"), {})
    assert "0.0-7.2" in capsys.readouterr().out


def test_it_gives_the_librarys_report(client, server, clip, transcript, model_folder, monkeypatch):
    text = client.predict(
        gradio_client.handle_file(clip),
        gradio_client.handle_file(transcript),
        mode="scores",
        person="largest",
        consent=True,
        api_name="/analyze",
    )
    monkeypatch.chdir(clip.parent)
    own = quick_report(model_folder, clip.name, transcript=transcript.name, mode="scores", person="largest")
    assert replace(EmotionReport.from_json(text), timings=()).to_json() == replace(own, timings=()).to_json()
    assert text == EmotionReport.from_json(text).to_json()
    assert not list(server.uploads.rglob("*.mp4"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"consent": False}, "confirm the statement"),
        ({"person": "Anna"}, "person must be"),
        ({"mode": "guess"}, "mode must be one of explain, scores"),
    ],
)
def test_refusals_say_why(client, server, clip, changes, message):
    asked = {"mode": "scores", "person": "speaker", "consent": True, **changes}
    with pytest.raises(gradio_client.exceptions.AppError, match=message):
        client.predict(gradio_client.handle_file(clip), None, **asked, api_name="/analyze")
    assert not list(server.uploads.rglob("*.mp4"))


def test_no_other_door_is_open(client):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/analyze"]


def test_files_of_the_server_are_out_of_reach(server, model_folder):
    secret = {"path": str(model_folder / "config.json"), "meta": {"_type": "gradio.FileData"}}
    answer = httpx.post(
        f"{server.address}gradio_api/call/analyze", json={"data": [secret, None, "scores", "speaker", True]}
    )
    stream = httpx.get(f"{server.address}gradio_api/call/analyze/{answer.json()['event_id']}", timeout=60)
    assert "event: error" in stream.text and "event: complete" not in stream.text
    assert (model_folder / "config.json").exists()
    assert httpx.get(f"{server.address}gradio_api/file={secret['path']}").status_code == 403
