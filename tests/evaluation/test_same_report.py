"""Library, command line and evaluation give the same report for the same clip."""

import json
from dataclasses import replace

import numpy as np
import pytest
from labelled_clips import write_clip

from microemo.cli.main import main
from microemo.data.example import Example, LabelledUtterance
from microemo.evaluation.ablation import FULL
from microemo.evaluation.model_runs import RunSettings, evaluate_examples
from microemo.inference import model_loading
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.model_loading import ReadingModels
from microemo.inference.report.report import EmotionReport
from microemo.processing import clip_reading
from microemo.processing.face_detection import FaceDetections

SPOKEN = [
    {"start": 0.1, "end": 0.9, "text": "At last!", "speaker": "Anna"},
    {"start": 1.0, "end": 1.9, "text": "Where?"},
]
BOX = np.array([[10, 5, 50, 45]], dtype=np.float32)
LANDMARKS = np.array([[[22, 18], [38, 18], [30, 27], [24, 36], [36, 36]]], dtype=np.float32)


class OneFace:
    """Replaces every named detector by one that returns the same face for every image."""

    def detect(self, frames):
        return [FaceDetections(BOX, LANDMARKS, np.ones(1, dtype=np.float32)) for _ in frames]


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4")


@pytest.fixture
def transcript(tmp_path):
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(SPOKEN), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def one_face(monkeypatch):
    monkeypatch.setattr(clip_reading, "create_detector", lambda *_, **__: OneFace())


def of_library(folder, clip, *, transcript, mode):
    report = EmotionAnalyzer.from_pretrained(folder)(str(clip), transcript=transcript, mode=mode)
    return replace(report, timings=())


def of_command(folder, clip, *, transcript, mode, capsys):
    words = [] if transcript is None else ["--transcript", transcript]
    arguments = ["analyze", clip, *words, "--model", folder, "--mode", mode, "--json", "--quiet"]
    assert main([str(argument) for argument in arguments]) == 0
    return replace(EmotionReport.from_json(capsys.readouterr().out), timings=())


def of_evaluation(folder, example, *, mode):
    analyzer = EmotionAnalyzer.from_pretrained(folder)
    (evaluated,) = evaluate_examples(analyzer, [example], settings=RunSettings(mode))[FULL.name]
    return replace(evaluated.report, timings=())


@pytest.mark.parametrize("mode", ["scores", "explain"])
@pytest.mark.parametrize("has_words", [False, True])
def test_one_clip_one_report(tiny_folder, clip, transcript, mode, has_words, capsys):
    words = str(transcript) if has_words else None
    report = of_library(tiny_folder, clip, transcript=words, mode=mode)
    assert report.face_curves and report.thumbnails and report.utterances[0].emotions
    assert (report.utterances[0].raw_answer is not None) == (mode == "explain")
    assert of_command(tiny_folder, clip, transcript=words, mode=mode, capsys=capsys) == report
    assert of_evaluation(tiny_folder, Example("clip", video=str(clip), transcript=words), mode=mode) == report


def test_utterances_of_an_example_are_as_a_list_given_to_the_library(tiny_folder, clip):
    spoken = tuple(LabelledUtterance(each["text"], each["start"], each["end"], each.get("speaker")) for each in SPOKEN)
    example = Example("clip", video=str(clip), utterances=spoken)
    report = of_library(tiny_folder, clip, transcript=SPOKEN, mode="scores")
    assert of_evaluation(tiny_folder, example, mode="scores") == report
    assert [utterance.speaker for utterance in report.utterances] == ["Anna", None]


def test_speech_is_recognised_where_an_example_has_no_words(tiny_folder, clip, monkeypatch):
    class Recognizer:
        def transcribe(self, waveform, **_):
            return clip_reading.parse_transcript(SPOKEN)

    load = model_loading.load_model
    monkeypatch.setattr(
        "microemo.inference.analyzer.load_model",
        lambda *a, **k: replace(load(*a, **k), reading=ReadingModels(Recognizer())),
    )
    report = of_library(tiny_folder, clip, transcript=None, mode="scores")
    assert [utterance.text for utterance in report.utterances] == ["At last!", "Where?"]
    assert of_evaluation(tiny_folder, Example("clip", video=str(clip)), mode="scores") == report
