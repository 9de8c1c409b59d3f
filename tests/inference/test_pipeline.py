"""transformers' pipelines: ours gives the analyzer's reports, the generic ones chat with the model."""

import inspect
import json
import shutil
import subprocess
import sys
from importlib.resources import files

import datasets
import jsonschema
import numpy as np
import pytest
import torch
import transformers
from fake_landmarks import FakeLandmarker
from tiny_folder import write_tiny_folder
from tiny_processor import tiny_recognizer

from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.pipeline import CALL_ARGUMENTS, TASK, VideoEmotionRecognitionPipeline
from microemo.processing.media_source import VideoArray
from microemo.processing.speech_recognition import SpeechRecognizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def recognize(folder):
    return transformers.pipeline(TASK, model=str(folder), detector=None)


def plain(report):
    """A report as JSON has it, without the times that its making took."""
    values = json.loads(json.dumps(report))
    values.pop("timings")
    return values


class TestOurs:
    def test_it_is_registered(self, folder, recognize):
        assert isinstance(recognize, VideoEmotionRecognitionPipeline)
        assert TASK in transformers.pipelines.get_supported_tasks()
        assert recognize.analyzer.model_id == str(folder)

    def test_importing_the_package_is_enough(self):
        code = f"import microemo; from transformers.pipelines import check_task; print(check_task({TASK!r})[0])"
        command = [sys.executable, "-W", "ignore", "-c", code]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.stdout.strip() == TASK, finished.stderr[-2000:]

    def test_a_report_is_the_analyzers(self, folder, recognize, video, spoken):
        report = recognize(str(video), transcript=spoken, mode="scores")
        analyzer = EmotionAnalyzer.from_pretrained(folder, detector=None)
        assert plain(report) == plain(analyzer(str(video), transcript=spoken, mode="scores").to_dict())
        text = files("microemo.inference.report").joinpath("report.schema.json").read_text(encoding="utf-8")
        schema = json.loads(text)
        jsonschema.validate(json.loads(json.dumps(report)), schema)

    def test_several_videos(self, recognize, video, spoken):
        reports = recognize([str(video), video], transcript=spoken, mode="scores")
        assert [plain(report) for report in reports] == [plain(reports[0])] * 2

    def test_a_generator_is_answered_one_by_one(self, recognize, video, spoken):
        asked = []

        def videos():
            for name in ("first", "second"):
                asked.append(name)
                yield {"video": str(video), "transcript": spoken[:1] if name == "first" else spoken}

        reports = iter(recognize(videos(), mode="scores"))
        assert len(next(reports)["utterances"]) == 1
        assert asked == ["first"], "nothing is read ahead"
        assert [len(report["utterances"]) for report in reports] == [2]

    def test_arrays_and_bytes(self, recognize, video, spoken):
        array = VideoArray(np.zeros((10, 40, 60, 3), dtype=np.uint8), np.arange(10) / 10)
        assert recognize(array, mode="scores")["duration_seconds"] == pytest.approx(1.0, abs=0.11)
        assert recognize(video.read_bytes(), transcript=spoken, mode="scores")["source"] == "bytes"

    def test_a_batch_size_changes_nothing(self, recognize, video, spoken):
        """A video's utterances are the batch; a larger one is no error, since programs set it for all pipelines."""
        asked = [{"video": str(video), "transcript": spoken}] * 3
        one_by_one = [plain(recognize(entry, mode="scores")) for entry in asked]
        assert [plain(report) for report in recognize(asked, mode="scores", batch_size=2)] == one_by_one

    def test_cells_of_a_data_set(self, recognize, video, spoken):
        table = datasets.Dataset.from_dict({"video": [str(video)]}).cast_column("video", datasets.Video(decode=False))
        cell = table[0]["video"]
        stored = {"path": "clip.mp4", "bytes": video.read_bytes()}
        for source in (cell, {"video": cell}, stored, memoryview(video.read_bytes()), video.as_uri()):
            report = recognize(source, transcript=spoken, mode="scores")
            assert len(report["utterances"]) == 2

    def test_the_models_own_recognizer_is_used(self, folder, tmp_path, monkeypatch):
        recognizer = tiny_recognizer()
        brings = tmp_path / "brings"
        shutil.copytree(folder, brings)
        (brings / "speech_recognition").mkdir()
        monkeypatch.setattr(SpeechRecognizer, "from_pretrained", lambda source, device: recognizer)
        assert transformers.pipeline(TASK, model=str(brings)).analyzer.reader.recognizer is recognizer
        assert transformers.pipeline(TASK, model=str(folder)).analyzer.reader.recognizer is None
        given = transformers.pipeline(TASK, model=str(folder), speech_recognition=recognizer)
        assert given.analyzer.reader.recognizer is recognizer

    def test_the_models_own_landmark_nets_are_used(self, folder, tmp_path, monkeypatch):
        landmarker = FakeLandmarker()
        brings = tmp_path / "brings"
        shutil.copytree(folder, brings)
        (brings / "face_landmarks").mkdir()
        monkeypatch.setattr("microemo.inference.model_loading.FaceLandmarker", lambda place: landmarker)
        assert transformers.pipeline(TASK, model=str(brings)).analyzer.reader.landmarker is landmarker
        assert transformers.pipeline(TASK, model=str(folder)).analyzer.reader.landmarker is None

    def test_a_model_made_by_hand(self, folder, recognize, video, spoken):
        made = transformers.pipeline(TASK, model=recognize.model, processor=recognize.processor, detector=None)
        report = made(str(video), transcript=spoken, mode="scores")
        assert plain(report) == plain(recognize(str(video), transcript=spoken, mode="scores"))

    def test_call_arguments_are_the_analyzers(self):
        parameters = list(inspect.signature(EmotionAnalyzer.__call__).parameters)
        assert [name for name in parameters if name not in ("self", "source", "progress")] == list(CALL_ARGUMENTS)

    @pytest.mark.parametrize(
        ("inputs", "arguments", "words"),
        [
            ("clip.mp4", {"max_new_tokens": 5}, "'max_new_tokens' is no argument of video-emotion-recognition"),
            ({"video": "clip.mp4", "subtitles": "a.srt"}, {}, "'subtitles' is no argument"),
            ({"path": "clip.mp4"}, {}, 'a dict must have the video under "video"'),
            ("clip.mp4", {"mode": "guess"}, "mode must be one of"),
        ],
    )
    def test_wrong_arguments(self, recognize, inputs, arguments, words):
        with pytest.raises(ValueError, match=words):
            recognize(inputs, **arguments)


def chat(*blocks):
    utterance = {"type": "utterance", "start": 0.2, "end": 1.2, "text": "Look at that!"}
    return [{"role": "user", "content": [*blocks, utterance, {"type": "text", "text": "What does she feel?"}]}]


@pytest.mark.parametrize("task", ["image-text-to-text", "any-to-any"])
class TestGeneric:
    @pytest.fixture
    def answer(self, task, folder):
        generic = transformers.pipeline(task, model=str(folder))

        def ask(messages, **arguments):
            return generic(text=messages, max_new_tokens=4, return_full_text=False, **arguments)

        return ask

    def test_video_sound_and_words_from_files(self, task, folder, video, monkeypatch):
        generic = transformers.pipeline(task, model=str(folder))
        generate, heard = generic.model.generate, []

        def listening(**inputs):
            heard.append(inputs.get("input_features"))
            return generate(**inputs)

        monkeypatch.setattr(generic.model, "generate", listening)
        picture, sound = {"type": "video", "path": str(video)}, {"type": "audio", "path": str(video)}
        for blocks, arguments in (
            ((picture, sound), {}),
            ((picture,), {"load_audio_from_video": True}),
            ((picture,), {}),
        ):
            (told,) = generic(text=chat(*blocks), max_new_tokens=4, return_full_text=False, **arguments)
            assert isinstance(told["generated_text"], str)
        given, taken_along, silent = heard
        assert given.std() > 0 and torch.equal(given, taken_along) and silent is None

    def test_several_chats(self, answer, video):
        with_video, without = chat({"type": "video", "path": str(video)}), chat()
        both = answer([with_video, without])
        assert [each[0]["generated_text"] for each in both] == [
            answer(messages)[0]["generated_text"] for messages in (with_video, without)
        ]
