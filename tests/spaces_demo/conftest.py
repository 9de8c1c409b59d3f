"""The demo's server with a tiny model, once for all tests."""

import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from demo_models import load_quickly, write_eventful_folder, write_transcript

from microemo.inference.report.report import (
    ClipSummary,
    EmotionReport,
    Modality,
    ModelInfo,
    OutputStatus,
    Settings,
    UtteranceReport,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
SPOKEN = [
    {"start": 0.4, "end": 3.2, "text": "I am not nervous.", "speaker": "Eileen"},
    {"start": 4.4, "end": 6.2, "text": "I love it!", "speaker": "Eileen"},
]


@pytest.fixture
def report() -> EmotionReport:
    """A small report of a clip on the server."""
    return EmotionReport(
        source="/srv/private/clip.mp4",
        duration_seconds=5.0,
        modalities=(Modality("frames", True), Modality("words", True, "transcript /srv/private/clip.srt")),
        status=OutputStatus("trained", "untrained", "trained", "not_requested"),
        utterances=(UtteranceReport(0.4, 2.9, "Hello."),),
        summary=ClipSummary(),
        face_curves=(),
        model=ModelInfo("tiny", (), "cpu", "float32", "0.1.0", "5.23.0", "2.14.1"),
        settings=Settings("scores", "speaker", None, "/srv/private/clip.srt"),
    )


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    return write_eventful_folder(folder, video=EXAMPLE, transcript=SPOKEN)


@pytest.fixture(scope="session")
def server(tmp_path_factory, model_folder):
    """The running demo: `address`, `uploads`, where Gradio keeps files, and `requests`, where requests keep theirs."""
    pytest.importorskip("gradio", reason="needs Gradio (pip install gradio)")
    from microemo.spaces_demo.launching import launch
    from microemo.spaces_demo.limits import Limits
    from microemo.spaces_demo.server_files import server_files
    from microemo.spaces_demo.settings import DemoSettings
    from microemo.spaces_demo.worker import WorkerPool

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("server")))
        files = stack.enter_context(server_files())
        pool = WorkerPool(partial(load_quickly, model_folder), count=1, max_seconds=120)
        settings = DemoSettings(model=str(model_folder), limits=Limits(max_seconds=20, max_megabytes=2))
        page, address = launch(pool.run, settings=settings, files=files, host="127.0.0.1", wait=False)
        pool.wait_until_loaded()
        yield SimpleNamespace(address=address, uploads=files.uploads, requests=files.requests)
        page.close()
        pool.stop()


@pytest.fixture
def clip(tmp_path) -> Path:
    """A visitor's file: the example under another name."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "mine.mp4"))


@pytest.fixture
def transcript(tmp_path) -> Path:
    return write_transcript(tmp_path / "words.json", SPOKEN)
