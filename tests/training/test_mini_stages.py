"""The command that trains the language part: its steps, their order and paths."""

import argparse
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_public_parts import assemble_of_tiny_parts

from microemo import MicroEmoConfig
from microemo.cli import train
from microemo.conversion.mini.lora_files import Lora, write_lora
from microemo.conversion.mini.trained_parts import RECORD, read_checkpoint
from microemo.data.package_weights import file_sha256
from microemo.training import mini_stages
from microemo.training.mini_stages import train_mini, write_perception

LORA_FILE = "language_model_lora.safetensors"


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint with a face part, an emotion head and a LoRA; the voice head shares the emotion head's file."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_file({"model.micro_dynamics.norm.weight": torch.ones(2)}, folder / "face_dynamics.safetensors")
    heads = {"model.emotion_head.dense.bias": torch.ones(2), "model.voice_head.scale": torch.ones(3)}
    save_file(heads, folder / "heads.safetensors")
    lora = Lora(1, 1.0, {"model.language_model.q_proj": (torch.ones(1, 2), torch.ones(2, 1))})
    write_lora(folder / LORA_FILE, lora=lora, dtype=torch.float32)
    files = {path.name: file_sha256(path) for path in folder.glob("*.safetensors")}
    parts = ["micro_dynamics", "emotion_head", "explanations"]
    (folder / RECORD).write_text(json.dumps({"trained_parts": parts, "files": files}))
    return folder


@pytest.fixture
def steps(checkpoint, monkeypatch):
    """Records the steps, which are fakes that write the final files of the real ones; "stop" interrupts the run."""
    done, stop = [], []

    def assemble(*, out_dir, checkpoint_dir):
        done.append(("start", sorted(read_checkpoint(checkpoint_dir).files)))
        out_dir.mkdir(parents=True)
        (out_dir / "assembly.json").write_text("{}")

    def train(recipe, *, data_root, resume):
        done.append((recipe, data_root, resume))
        if stop:
            raise KeyboardInterrupt
        weights = mini_stages.Path(recipe.training["output_dir"]) / "weights"
        weights.mkdir(parents=True)
        (weights / RECORD).write_text("{}")

    def prepare(data, *, model_folder, out, cache, amounts, seed):
        done.append((data, model_folder, out, cache, seed))
        out.write_bytes(b"")

    monkeypatch.setattr(mini_stages, "mini_checkpoint_folder", lambda: checkpoint)
    for name, fake in (("assemble_mini", assemble), ("train", train), ("prepare", prepare)):
        monkeypatch.setattr(mini_stages, name, fake)
    return done, stop


def test_every_stage_starts_from_the_previous_one(steps, tmp_path):
    done, _ = steps
    data, out = tmp_path / "data", tmp_path / "my: runs #1"  # letters that mean something in YAML
    assert train_mini(data, out=out) == out / "evidence_3"
    start, (words, *words_settings), prepared, (evidence, *_), prepared_again, (second, *_), _, (third, *_) = done
    assert start == ("start", ["face_dynamics.safetensors", "heads.safetensors", RECORD])
    first_pass = (data, out / "words" / "model", out / "evidence.pt", out / "sources")
    second_pass = (data, out / "evidence" / "model", out / "evidence_2.pt", out / "sources")
    assert words_settings == [data, False]
    assert (prepared[:-1], prepared_again[:-1]) == (first_pass, second_pass) and prepared[-1] != prepared_again[-1]
    assert second.model.path == str(out / "evidence" / "model")
    assert second.training["learning_rate"] < evidence.training["learning_rate"]
    assert second.lora.continues == str(out / "evidence" / "weights" / LORA_FILE)
    assert third.lora.continues == str(out / "evidence_2" / "weights" / LORA_FILE)
    assert (words.model.path, words.model.objective) == (str(out / "start"), "emotions")
    assert (evidence.model.path, evidence.model.objective) == (str(out / "words" / "model"), "evidence")
    assert evidence.lora.continues == str(out / "words" / "weights" / LORA_FILE)
    assert evidence.data.train[0].path == str(out / "evidence.pt")
    assert [recipe.training["output_dir"] for recipe in (words, evidence)] == [
        str(out / "words"),
        str(out / "evidence"),
    ]


def test_interrupted_run_resumes(steps, tmp_path):
    done, stop = steps
    out = tmp_path / "runs"
    stop.append(True)
    with pytest.raises(KeyboardInterrupt):
        train_mini(tmp_path, out=out)
    assert len(done) == 2, "start, and words that were stopped"
    stop.clear()
    train_mini(tmp_path, out=out, resume=True)
    assert [step[0].model.objective for step in (done[2], done[-1])] == ["emotions", "evidence"]
    assert done[2][2] is True and len(done) == 9
    train_mini(tmp_path, out=out)
    assert len(done) == 9, "nothing is left to do"


def test_write_perception_removes_the_language_part(checkpoint, tmp_path):
    out = write_perception(checkpoint, out=tmp_path / "perception")
    left = read_checkpoint(out)  # which checks the hashes of the record
    assert left.trained_parts == ("micro_dynamics",) and not left.loras
    assert set(left.state_dict) == {"model.micro_dynamics.norm.weight", "model.voice_head.scale"}
    assert (out / "face_dynamics.safetensors").read_bytes() == (checkpoint / "face_dynamics.safetensors").read_bytes()
    assert "model.emotion_head.dense.bias" in load_file(checkpoint / "heads.safetensors"), "the checkpoint stays"


def test_starting_folder_has_no_language_part(monkeypatch, tmp_path):
    assemble_of_tiny_parts(monkeypatch)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / RECORD).write_text(json.dumps({"trained_parts": ["explanations"]}))
    monkeypatch.setattr(mini_stages, "mini_checkpoint_folder", lambda: tmp_path / "checkpoint")
    monkeypatch.setattr(mini_stages, "train", lambda *_, **__: None)
    monkeypatch.setattr(mini_stages, "prepare", lambda *_, **__: None)
    train_mini(tmp_path, out=tmp_path / "runs")
    assert MicroEmoConfig.from_pretrained(tmp_path / "runs" / "start").trained_parts == []


def test_command_runs_all_stages(monkeypatch, tmp_path, capsys):
    called = []
    monkeypatch.setattr(mini_stages, "train_mini", lambda data, **settings: called.append((data, settings)))
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    command = ["mini", "--data", str(tmp_path), "--out", str(tmp_path / "runs")]
    assert train.run(parser.parse_args([*command, "--resume"])) == 0
    assert called == [(tmp_path, {"out": tmp_path / "runs", "resume": True})]
    with pytest.raises(ValueError, match="neither --set nor a checkpoint"):
        train.run(parser.parse_args([*command, "--set", "training.max_steps=1"]))
    assert train.run(parser.parse_args(["--list"])) == 0
    assert capsys.readouterr().out.startswith("mini ")
