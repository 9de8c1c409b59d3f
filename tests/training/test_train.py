"""End-to-end training runs of recipes, and the command."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_language import EMOTIONS, tiny_composer
from transformers import Trainer
from transformers.utils import logging

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration, MicroEmoProcessor
from microemo.training.arguments import training_arguments
from microemo.training.language.examples import evidence_example, save_examples
from microemo.training.train import finish, load_training_data, prepare, train

ROOT = Path(__file__).resolve().parents[2]


def test_run_saves_model_weights_and_record(workshop, tmp_path):
    recipe = workshop.recipe(tmp_path, parts=("face_head", "emotion_head"))
    object.__setattr__(recipe.parts, "declare", ("emotion_head",))
    object.__setattr__(recipe.parts, "declare_after", 4)
    folder = train(recipe, data_root=workshop.root)
    model = MicroEmoForConditionalGeneration.from_pretrained(folder / "model")
    assert model.config.trained_parts == ["emotion_head"]
    assert MicroEmoProcessor.from_pretrained(folder / "model").reading_settings["face_fps"] == 8.0
    weights = load_file(folder / "weights" / "weights.safetensors")
    state = model.state_dict()
    assert {name.split(".")[1] for name in weights} == {"face_head", "emotion_head"}
    for name, value in weights.items():
        torch.testing.assert_close(value.float(), state[name], rtol=1e-3, atol=1e-3)
    record = json.loads((folder / "weights" / "training_record.json").read_text())
    assert record["trained_parts"] == ["emotion_head"] and record["seed"] == 42
    assert record["reading_settings"]["face_fps"] == 8.0
    assert record["recipe"]["parts"]["train"] == ["face_head", "emotion_head"]
    assert len(record["data"]["train"]) == 64 and record["data"]["evaluation"] == "none"
    assert [entry["step"] for entry in record["curves"]] == [1, 2, 2] and "transformers" in record["versions"]


@pytest.mark.parametrize(
    ("declare_after", "steps_taken", "declared"), [(4, 2, ["face_tower"]), (5, 2, []), (1, 1, [])]
)
def test_short_run_declares_no_trained_parts(workshop, tmp_path, caplog, declare_after, steps_taken, declared):
    recipe = workshop.recipe(tmp_path, parts=("emotion_head",))
    object.__setattr__(recipe.parts, "declare", ("face_tower",))
    object.__setattr__(recipe.parts, "declare_after", declare_after)
    run = prepare(recipe, data_root=workshop.root)
    run.trainer.state.global_step, run.trainer.state.max_steps = steps_taken, 2
    logger = logging.get_logger("microemo.training.train")
    logger.addHandler(caplog.handler)
    try:
        folder = finish(run)
    finally:
        logger.removeHandler(caplog.handler)
    assert MicroEmoConfig.from_pretrained(folder / "model").trained_parts == declared
    warning = f"face_tower not declared as trained: the run took {steps_taken} of 2 steps and saw {2 * steps_taken}"
    assert (warning in caplog.text) == (not declared)


def test_face_objective_trains_the_face_parts_only(workshop, tmp_path):
    recipe = workshop.recipe(
        tmp_path, model={"objective": "face"}, parts=("micro_dynamics", "face_head"), data={"person": "largest"}
    )
    folder = train(recipe, data_root=workshop.root)
    before = MicroEmoForConditionalGeneration.from_pretrained(workshop.root / "model").state_dict()
    model, loading_info = MicroEmoForConditionalGeneration.from_pretrained(folder / "model", output_loading_info=True)
    assert not loading_info["missing_keys"] and not loading_info["unexpected_keys"]
    changed = {
        name.split(".")[1] for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"micro_dynamics", "face_head"}


def test_face_loss_is_the_same_for_all_objectives(workshop, tmp_path):
    losses = []
    for objective in ("face", "emotions", "answers"):
        run = workshop.prepare(tmp_path / objective, model={"objective": objective}, max_steps=1)
        run.trainer.train()
        losses.append(run.trainer.state.log_history[0]["face_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[1] == pytest.approx(losses[2], rel=1e-5)


def test_submodules_of_a_part_can_be_frozen(workshop, tmp_path):
    recipe = workshop.recipe(tmp_path, parts=("face_head",), lora={"r": 2})
    object.__setattr__(recipe.parts, "frozen", ("face_head.static_expression",))
    run = prepare(recipe, data_root=workshop.root)
    trained = {name for name, parameter in run.trainer.model.named_parameters() if parameter.requires_grad}
    assert any("dynamic_expression" in name for name in trained)
    assert not any("static_expression" in name for name in trained)


def test_config_changes_make_an_ablation(workshop, tmp_path):
    changes = {"use_local_branch": False, "utterance_mode": "window", "window_frames": 2, "window_stride": 2}
    run = workshop.prepare(tmp_path, model={"changes": changes}, parts=("video_qformer", "emotion_head"))
    assert run.start.processor.utterance_mode == "window" and run.start.processor.window_stride == 2
    assert not hasattr(run.trainer.model.model, "face_head")
    run.trainer.train()
    assert "face_loss" not in run.trainer.state.log_history[0]


def test_config_changes_with_random_untrained_weights_are_refused(workshop, tmp_path):
    changes = {"qformer_config.num_hidden_layers": 3}
    with pytest.raises(ValueError, match=r"weights of parts that are not trained, such as model.frame_qformer"):
        workshop.prepare(tmp_path, model={"changes": changes})
    workshop.prepare(tmp_path, model={"changes": changes}, parts=("frame_qformer",))
    with pytest.raises(ValueError, match="'no_such_switch'"):
        workshop.prepare(tmp_path, model={"changes": {"no_such_switch": 1}})


def test_streaming_data_can_be_trained_on(workshop, tmp_path):
    run = workshop.prepare(tmp_path, data={"streaming": True}, max_steps=3)
    run.trainer.train()
    assert run.trainer.state.global_step == 3


def test_sources_are_repeated_and_truncated(workshop, tmp_path):
    (tmp_path / "goemotions").mkdir()
    (tmp_path / "goemotions" / "labels.txt").write_text("joy\n")
    (tmp_path / "goemotions" / "train.tsv").write_text("a\t0\tx\nb\t0\ty\nc\t0\tz\n")
    sources = [
        {"reader": "jsonl", "path": str(workshop.root / "clips.jsonl"), "repeat": 2, "take": 1, "questions": "all"},
        {"reader": "goemotions", "path": "goemotions", "take": 2, "questions": "none"},
    ]
    recipe = workshop.recipe(tmp_path, data={"train": sources})
    table = load_training_data(recipe.data, root=tmp_path, seed=0)
    assert table["question_index"] == [0, 1, 2, 0, 1, 2, -1, -1]


def test_evidence_objective_trains_the_language_part(workshop, tmp_path):
    processor, rng = MicroEmoProcessor.from_pretrained(workshop.root / "model"), np.random.default_rng(0)
    dialogues = [tiny_composer().compose(rng) for _ in range(4)]
    settings = {"processor": processor, "names": EMOTIONS, "rng": rng}
    examples = [evidence_example(each.clip, each.evidence, **settings) for each in dialogues]
    save_examples(examples, path=tmp_path / "evidence.pt")
    data = {"train": [{"reader": "language_examples", "path": str(tmp_path / "evidence.pt")}]}
    model, parts = {"objective": "evidence"}, ("emotion_head",)
    recipe = workshop.recipe(
        tmp_path / "run",
        model=model,
        data=data,
        parts=parts,
        lora={"r": 2},
        train_sampling_strategy="group_by_length",
    )
    folder = train(recipe, data_root=workshop.root)
    record = json.loads((folder / "weights" / "training_record.json").read_text())
    assert {"language_loss", "emotion_loss"} <= record["curves"][0].keys() and len(record["data"]["train"]) == 64
    before = MicroEmoForConditionalGeneration.from_pretrained(workshop.root / "model").state_dict()
    after = MicroEmoForConditionalGeneration.from_pretrained(folder / "model").state_dict()
    changed = {name.split(".")[1] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"language_model", "emotion_head"}


def test_invalid_training_arguments_are_refused(workshop, tmp_path):
    with pytest.raises(ValueError, match="no_such_argument"):
        training_arguments(workshop.recipe(tmp_path, no_such_argument=1))
    with pytest.raises(ValueError, match="training may not set .'remove_unused_columns'."):
        training_arguments(workshop.recipe(tmp_path, remove_unused_columns=True))


def test_train_command(workshop, tmp_path, capsys):
    yaml = pytest.importorskip("yaml")
    import argparse

    from microemo.cli import train

    content = {
        "model": {"path": str(workshop.root / "model")},
        "data": {"train": [{"reader": "jsonl", "path": "missing.jsonl"}], "detector": None},
        "parts": {"train": ["emotion_head"]},
        "training": {"output_dir": "elsewhere", "max_steps": 1, "use_cpu": True, "save_strategy": "no"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    command = [str(tmp_path / "recipe.yaml"), "--data", str(workshop.root), "--out", str(tmp_path / "run")]
    settings = ["--set", "data.train.0.path=clips.jsonl", "--set", "data.reading={num_frames: 4, face_size: 16}"]
    assert train.run(parser.parse_args([*command, *settings])) == 0
    assert (tmp_path / "run" / "model" / "config.json").is_file()
    with pytest.raises(ValueError, match="RECIPE is missing"):
        train.run(parser.parse_args([]))
    assert train.run(parser.parse_args(["--list"])) == 0
    assert "paper_7b" in capsys.readouterr().out


def test_example_script_uses_transformers_trainer(workshop, tmp_path, monkeypatch):
    output = tmp_path / "finetuned"
    arguments = [str(workshop.root / "clips.jsonl"), str(output), str(workshop.root / "model")]
    monkeypatch.setattr(sys, "argv", ["finetune.py", *arguments])
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    names = runpy.run_path(str(ROOT / "examples" / "finetune.py"))
    assert type(names["trainer"]) is Trainer and names["trainer"].state.global_step == 2
    MicroEmoForConditionalGeneration.from_pretrained(output)
    MicroEmoProcessor.from_pretrained(output)


@pytest.mark.parametrize(
    ("objective", "trained_modules"),
    [("movement", ("motion_stem", "micro_expression")), ("flow", ("flow.stem", "flow_micro", "dynamic_expression"))],
)
def test_single_token_objectives_run_no_tower(workshop, tmp_path, objective, trained_modules):
    recipe = workshop.recipe(
        tmp_path, model={"objective": objective}, parts=("micro_dynamics", "face_head"), data={"person": "largest"}
    )
    run = prepare(recipe, data_root=workshop.root)
    tower_calls = []
    for tower in (run.trainer.model.model.face_tower, run.trainer.model.model.frame_tower):
        tower.register_forward_hook(lambda *parts: tower_calls.append(parts))
    before = {name: value.clone() for name, value in run.trainer.model.state_dict().items()}
    run.trainer.train()
    after = run.trainer.model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert not tower_calls
    assert all(any(module in name for name in changed) for module in trained_modules)
    assert not any("static_expression" in name for name in changed)
    assert all((objective == "flow") == ("flow" in name or "dynamic_e" in name or "units" in name) for name in changed)
