"""Content of an exported folder, and refused sources and targets."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from tiny_folder import tiny_parts, write_tiny_folder
from transformers import AutoModelForMultimodalLM

from microemo import (
    EmotionAnalyzer,
    MicroEmoConfig,
    MicroEmoForConditionalGeneration,
    MicroEmoProcessor,
    MicroEmoVideoProcessor,
)
from microemo.conversion.hub.export_hub import ExportOptions, export_model
from microemo.conversion.hub.remote_code import MODEL_AUTO_MAP, code_files


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_tiny_folder(tmp_path_factory.mktemp("source") / "model")


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    return export_model(source, tmp_path_factory.mktemp("exported") / "microemo-tiny")


def state_dict(folder):
    return MicroEmoForConditionalGeneration.from_pretrained(folder).state_dict()


def settings(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_exported_weights_equal_the_source(source, exported):
    before, after = state_dict(source), state_dict(exported)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_files_equal_those_of_register_for_auto_class(exported, tmp_path, monkeypatch):
    # `register_for_auto_class` marks classes; monkeypatch unmarks them.
    for marked, auto_class in (
        (MicroEmoConfig, "AutoConfig"),
        (MicroEmoForConditionalGeneration, "AutoModelForMultimodalLM"),
        (MicroEmoProcessor, "AutoProcessor"),
        (MicroEmoVideoProcessor, "AutoVideoProcessor"),
    ):
        monkeypatch.setattr(marked, "_auto_class", auto_class)
    model, processor = tiny_parts()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    theirs = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    ours = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()}
    assert ours == theirs | {"README.md"}
    mapped = settings(tmp_path / "config.json")["auto_map"]
    assert mapped.items() <= settings(exported / "config.json")["auto_map"].items()
    mapped = settings(tmp_path / "processor_config.json")["video_processor"]["auto_map"]["AutoVideoProcessor"]
    exported_map = settings(exported / "processor_config.json")["video_processor"]["auto_map"]
    assert exported_map == {"AutoVideoProcessor": mapped}


def test_auto_map_classes_exist(exported):
    assert settings(exported / "config.json")["auto_map"] == MODEL_AUTO_MAP
    for reference in MODEL_AUTO_MAP.values():
        module, name = reference.split(".")
        assert f"class {name}(" in (exported / f"{module}.py").read_text(encoding="utf-8")
    assert {file.name for file in code_files()} == {path.name for path in exported.glob("*.py")}


def test_shards_respect_the_maximum_size(source, tmp_path):
    folder = export_model(source, tmp_path / "out", options=ExportOptions(max_shard_size="200KB"))
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    for shard in shards:
        sizes = [tensor.nbytes for tensor in load_file(shard).values()]
        assert sum(sizes) <= 200_000 or len(sizes) == 1
    index = settings(folder / "model.safetensors.index.json")
    assert set(index["weight_map"].values()) == {shard.name for shard in shards}
    assert not (folder / "conversion_progress.json").exists()
    before, after = state_dict(source), state_dict(folder)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_dtype_applies_to_weights_and_config(source, tmp_path):
    folder = export_model(source, tmp_path / "out", options=ExportOptions(dtype="bfloat16"))
    before = state_dict(source)
    stored = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16, torch.int64}
    after = AutoModelForMultimodalLM.from_pretrained(folder)  # the config's type, without being told
    assert after.dtype == torch.bfloat16
    for key, tensor in after.state_dict().items():
        assert torch.equal(tensor, before[key].to(tensor.dtype)), key


def test_export_of_an_export(exported, tmp_path):
    again = export_model(exported, tmp_path / "microemo-tiny")
    assert {path.name: path.stat().st_size for path in exported.iterdir()} == {
        path.name: path.stat().st_size for path in again.iterdir()
    }
    assert (again / "model.safetensors").read_bytes() == (exported / "model.safetensors").read_bytes()


def test_auxiliary_folders_are_copied(source, tmp_path):
    brings = tmp_path / "source"
    shutil.copytree(source, brings)
    for name in ("speech_recognition", "face_landmarks", "adapter"):
        (brings / name).mkdir()
        (brings / name / "config.json").write_text("{}", encoding="utf-8")
    figure = {"task": "a", "dataset": "b", "metric": "c", "value": 0.25, "command": "d"}
    (brings / "training_record.json").write_text(json.dumps({"figures": [figure]}), encoding="utf-8")
    folder = export_model(brings, tmp_path / "out", options=ExportOptions(licence="mit"))
    carried = ("speech_recognition/config.json", "face_landmarks/config.json", "adapter/config.json")
    for name in (*carried, "training_record.json"):
        assert (folder / name).read_bytes() == (brings / name).read_bytes()
    card = ModelCard.load(folder / "README.md")
    assert "speech" in card.text
    assert [result.metric_value for result in card.data.eval_results] == [0.25]
    again = ModelCard.load(export_model(folder, tmp_path / "again") / "README.md")
    assert again.data.license == "mit", "the licence stays with the weights"


class TestRefusals:
    def test_missing_weights(self, source, tmp_path):
        broken = self.changed(source, tmp_path, drop="model.emotion_head.")
        with pytest.raises(ValueError, match=r"lacks weights that the model needs: model\.emotion_head"):
            export_model(broken, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_unexpected_weights(self, source, tmp_path):
        broken = self.changed(source, tmp_path, add="model.third_eye.weight")
        with pytest.raises(ValueError, match=r"has no place for: model\.third_eye\.weight"):
            export_model(broken, tmp_path / "out")

    def test_values_out_of_range_of_the_dtype(self, source, tmp_path):
        broken = self.changed(source, tmp_path, scale=1e9)
        with pytest.raises(ValueError, match=r"not finite, in the original or beyond the range of torch\.float16"):
            export_model(broken, tmp_path / "out", options=ExportOptions(dtype="float16"))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source"], "a failure leaves nothing behind"

    def test_target_with_files(self, source, tmp_path):
        (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
        with pytest.raises(ValueError, match="has files already"):
            export_model(source, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    def test_invalid_sources(self, source, tmp_path):
        with pytest.raises(ValueError, match="is not a model folder: it has no config.json"):
            export_model(tmp_path / "nowhere", tmp_path / "out")
        quantized = tmp_path / "source"
        shutil.copytree(source, quantized)
        config = settings(quantized / "config.json")
        (quantized / "config.json").write_text(json.dumps({**config, "quantization_config": {}}), encoding="utf-8")
        with pytest.raises(ValueError, match="holds quantized weights"):
            export_model(quantized, tmp_path / "out")
        (quantized / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
        with pytest.raises(ValueError, match="a model of type 'llama', not 'microemo'"):
            export_model(quantized, tmp_path / "out")

    @pytest.mark.parametrize("size", ["5 elephants", "0GB", "-1MB", ""])
    def test_invalid_shard_sizes(self, size):
        with pytest.raises(ValueError, match="max_shard_size must be a size"):
            ExportOptions(max_shard_size=size)

    def test_invalid_dtypes(self):
        with pytest.raises(ValueError, match="dtype is 'int8', allowed are float32, bfloat16, float16"):
            ExportOptions(dtype="int8")

    @staticmethod
    def changed(source, tmp_path, *, drop="nothing", add=None, scale=1.0):
        """A copy of the source with weights removed, added or scaled."""
        folder = tmp_path / "source"
        shutil.copytree(source, folder)
        weights = load_file(folder / "model.safetensors")
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(drop)}
        weights["model.video_projector.weight"] *= scale
        if add is not None:
            weights[add] = torch.zeros(1)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder


@pytest.mark.slow
def test_export_of_the_real_mini_gives_the_same_report(assembled_mini, tmp_path):
    folder = export_model(assembled_mini, tmp_path / "microemo-mini", options=ExportOptions(max_shard_size="200MB"))
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "cc-by-nc-sa-4.0"
    assert card.data.eval_results
    video = Path(__file__).parents[2] / "examples" / "astronaut.mp4"
    spoken = [{"start": 0.4, "end": 3.3, "text": "I am not nervous."}]
    reports = [
        EmotionAnalyzer.from_pretrained(model)(video, transcript=spoken, mode="scores")
        for model in (assembled_mini, folder)
    ]
    assert reports[0].face_curves == reports[1].face_curves
    assert reports[0].utterances == reports[1].utterances
