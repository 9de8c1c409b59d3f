"""Recipes: every key is checked, and those of the package are what they claim."""

import pytest
from transformers import HfArgumentParser, TrainingArguments

from microemo.data.reader_registry import READERS
from microemo.data.stream_dropout import StreamDropout
from microemo.processing.reading_settings import ReadingSettings
from microemo.training.recipe import load_recipe, packaged_recipes, parse_yaml, recipe_of

SMALL = {
    "data": {"train": [{"reader": "jsonl", "path": "a.jsonl"}]},
    "parts": {"train": ["emotion_head"]},
    "training": {"output_dir": "out"},
}


def test_numbers_are_read_as_people_write_them():
    assert parse_yaml("{a: 2e-5, b: 1.5E3, c: 7, d: 0.05, e: 2e}") == {
        "a": 2e-5,
        "b": 1500,
        "c": 7,
        "d": 0.05,
        "e": "2e",
    }


def test_words_are_not_taken_for_truth_values():
    assert parse_yaml("{a: no, b: on, c: true, d: False}") == {"a": "no", "b": "on", "c": True, "d": False}


def test_values_can_be_changed(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(str(SMALL))
    changes = [
        "training.learning_rate=3e-4",
        "data.train.0.path=b.jsonl",
        "lora.r=8",
        "model.changes={timestamp: text}",
    ]
    recipe = load_recipe(path, changes=changes)
    assert recipe.training["learning_rate"] == 3e-4 and recipe.data.train[0].path == "b.jsonl"
    assert recipe.lora.r == 8 and recipe.lora.alpha == 32 and recipe.model.changes == {"timestamp": "text"}
    with pytest.raises(ValueError, match="training.max_steps=10"):
        load_recipe(path, changes=["lora"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modle": {}}, "recipe has unknown keys .'modle'."),
        ({"model": {"pth": "x"}}, "model has unknown keys .'pth'."),
        ({"data": {"train": [{"reader": "jsonl", "pth": "x"}]}}, r"data.train.0 has unknown keys .'pth'."),
        ({"data": {"train": []}}, "data.train must name"),
        ({"parts": {"train": ["qformer"]}}, "parts has .'qformer'."),
        ({"parts": {}}, "nothing is trained"),
        ({"training": {}}, "output_dir"),
        ({"model": {"objective": "nothing"}}, "model.objective .'nothing'"),
        ({"model": {"quantization": {"load_in_4bit": True}}}, "needs lora"),
        (
            {"model": {"quantization": {"load_in_4bit": True}}, "lora": {"continues": "x"}},
            "lora.continues needs unquantized",
        ),
        ({"data": {**SMALL["data"], "streaming": True}}, "max_steps"),
        ({"data": {"train": [{"reader": "jsonl", "path": "x", "repeat": 0}]}}, "repeat .0"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        recipe_of({**SMALL, **change})


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(ValueError, match=r"recipe \(stage9\).*evidence"):
        load_recipe("stage9")


@pytest.mark.parametrize("name", packaged_recipes())
def test_the_packages_recipes_can_be_used(name):
    recipe = load_recipe(name, changes=["training.bf16=false", "training.use_cpu=true"])
    known = {*READERS, "language_examples"}
    assert {source.reader for source in (*recipe.data.train, *recipe.data.evaluation)} <= known
    ReadingSettings(**recipe.data.reading)
    StreamDropout(**recipe.data.dropout)
    settings = {key: value for key, value in recipe.training.items() if not key.startswith(("fsdp", "optim"))}
    HfArgumentParser([TrainingArguments]).parse_dict(settings)


@pytest.mark.parametrize("name", ["paper_7b", "paper_7b_fsdp"])
def test_the_papers_recipe_has_the_papers_numbers(name):
    recipe = load_recipe(name)
    training = recipe.training
    assert (training["learning_rate"], training["weight_decay"], training["warmup_steps"]) == (2e-5, 0.05, 0.05)
    assert (training["lr_scheduler_type"], training["num_train_epochs"]) == ("cosine", 3)
    assert (recipe.lora.r, recipe.lora.alpha) == (32, 32)
    assert recipe.lora.targets == ("q_proj", "k_proj", "v_proj", "o_proj")


def test_the_stages_of_the_face_follow_each_other_and_share_what_was_read():
    stages = [load_recipe(name) for name in ("face_movement", "face_dynamics", "face_flow", "streams")]
    assert stages[0].model.path is None
    for before, stage in zip(stages, stages[1:-1], strict=False):
        assert stage.model.path == f"{before.training['output_dir']}/model"
    assert all(stage.data.reading == stages[0].data.reading for stage in stages), "clips and features are kept once"


def test_the_evidence_stage_goes_on_with_the_words():
    words, evidence = load_recipe("words"), load_recipe("evidence")
    run = words.training["output_dir"]
    assert evidence.model.path == f"{run}/model"
    assert evidence.lora.continues == f"{run}/weights/language_model_lora.safetensors"
    assert (evidence.lora.r, evidence.lora.alpha) == (words.lora.r, words.lora.alpha)
