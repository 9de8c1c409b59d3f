"""Recipes: keys are checked, and the packaged recipes are valid and consistent."""

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


def test_numbers_in_scientific_notation_are_floats():
    assert parse_yaml("{a: 2e-5, b: 1.5E3, c: 7, d: 0.05, e: 2e}") == {
        "a": 2e-5,
        "b": 1500,
        "c": 7,
        "d": 0.05,
        "e": "2e",
    }


def test_only_true_and_false_are_bools():
    assert parse_yaml("{a: no, b: on, c: true, d: False}") == {"a": "no", "b": "on", "c": True, "d": False}


def test_values_can_be_overridden(tmp_path):
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
def test_invalid_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipe_of({**SMALL, **change})


def test_unknown_recipe_error_lists_the_packaged_ones():
    with pytest.raises(ValueError, match=r"recipe \(stage9\).*evidence"):
        load_recipe("stage9")


@pytest.mark.parametrize("name", packaged_recipes())
def test_packaged_recipes_are_valid(name):
    recipe = load_recipe(name, changes=["training.bf16=false", "training.use_cpu=true"])
    known = {*READERS, "language_examples"}
    assert {source.reader for source in (*recipe.data.train, *recipe.data.evaluation)} <= known
    ReadingSettings(**recipe.data.reading)
    StreamDropout(**recipe.data.dropout)
    settings = {key: value for key, value in recipe.training.items() if not key.startswith(("fsdp", "optim"))}
    HfArgumentParser([TrainingArguments]).parse_dict(settings)


def test_face_stages_are_chained_and_share_the_reading_settings():
    stages = [load_recipe(name) for name in ("face_movement", "face_dynamics", "face_flow", "streams")]
    assert stages[0].model.path is None
    for before, stage in zip(stages, stages[1:-1], strict=False):
        assert stage.model.path == f"{before.training['output_dir']}/model"
    assert all(stage.data.reading == stages[0].data.reading for stage in stages), "all stages share the cached clips"


def test_evidence_stage_continues_the_lora_of_the_words():
    words, evidence = load_recipe("words"), load_recipe("evidence")
    run = words.training["output_dir"]
    assert evidence.model.path == f"{run}/model"
    assert evidence.lora.continues == f"{run}/weights/language_model_lora.safetensors"
    assert (evidence.lora.r, evidence.lora.alpha) == (words.lora.r, words.lora.alpha)
