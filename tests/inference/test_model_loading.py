import json
from dataclasses import replace

import huggingface_hub
import pytest
import torch
from fake_landmarks import FakeLandmarker
from safetensors.torch import load_file, save_file

from microemo.inference import model_loading
from microemo.inference.analyzer import EmotionAnalyzer
from microemo.inference.model_loading import resolve_device, resolve_dtype


@pytest.fixture
def folder(make_analyzer, tmp_path):
    analyzer = make_analyzer()
    analyzer.model.save_pretrained(tmp_path)
    analyzer.processor.save_pretrained(tmp_path)
    return tmp_path


def edit_weights(folder, edit):
    path = folder / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def test_a_saved_model_gives_the_same_report(folder, make_analyzer, video, spoken):
    loaded = EmotionAnalyzer.from_pretrained(folder, device="cpu", detector=None)
    loaded.reader = make_analyzer().reader
    loaded.model_id = "tiny"
    one, other = loaded(video, transcript=spoken), make_analyzer()(video, transcript=spoken)
    assert replace(one, timings=()) == replace(other, timings=())


def test_missing_weights_are_named(folder):
    edit_weights(folder, lambda weights: weights.pop("model.emotion_head.classifier.weight"))
    with pytest.raises(ValueError, match="lacks weights that the model needs: model.emotion_head.classifier.weight"):
        EmotionAnalyzer.from_pretrained(folder)


def test_foreign_weights_are_named(folder):
    edit_weights(folder, lambda weights: weights.update({"model.mood.weight": torch.zeros(2)}))
    with pytest.raises(ValueError, match="has weights that the model has no place for: model.mood.weight"):
        EmotionAnalyzer.from_pretrained(folder)


def test_another_model_is_refused(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}), encoding="utf-8")
    with pytest.raises(ValueError, match="holds a model of type 'llama', not 'microemo'"):
        EmotionAnalyzer.from_pretrained(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no model folder: it has no config.json"):
        EmotionAnalyzer.from_pretrained(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="path_or_id must be a model folder or a Hub id, but there is no folder"):
        EmotionAnalyzer.from_pretrained(str(tmp_path / "nothing"))


def test_a_hub_model_that_cannot_be_had_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="no folder and no reachable Hub model 'someorg/none': "):
        EmotionAnalyzer.from_pretrained("someorg/none", cache_dir=tmp_path)


def test_devices_and_types():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_dtype(None, device=torch.device("cpu")) == torch.float32
    assert resolve_dtype(None, device=torch.device("cuda")) == "auto"
    assert resolve_dtype("bfloat16", device=torch.device("cpu")) == torch.bfloat16
    with pytest.raises(ValueError, match="device 'abacus' cannot be used"):
        resolve_device("abacus")
    with pytest.raises(ValueError, match="dtype must be one of auto, float32, bfloat16, float16, got 'int8'"):
        resolve_dtype("int8", device=torch.device("cpu"))


def test_landmark_nets_that_a_model_brings_are_used(folder, monkeypatch):
    opened = []
    monkeypatch.setattr(model_loading, "FaceLandmarker", lambda place: opened.append(place) or FakeLandmarker())
    assert EmotionAnalyzer.from_pretrained(folder, device="cpu").reader.landmarker is None and not opened
    (folder / "face_landmarks").mkdir()
    analyzer = EmotionAnalyzer.from_pretrained(folder, device="cpu")
    assert isinstance(analyzer.reader.landmarker, FakeLandmarker) and opened == [folder / "face_landmarks"]
