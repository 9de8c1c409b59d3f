"""Trainable parameters and optimizer groups."""

import pytest
import torch
from tiny_model import tiny_model

from microemo import MicroEmoForConditionalGeneration
from microemo.training.adapters import add_lora, lora_targets, lora_weights, quantization_config
from microemo.training.parameter_groups import PARTS, parameter_groups, part_of, train_only
from microemo.training.recipe import LoraRecipe
from microemo.training.train import finish


@pytest.fixture
def model():
    return tiny_model(MicroEmoForConditionalGeneration)


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_every_module_belongs_to_a_part(model):
    segments = {**model.config.video_qformer_config.to_dict(), "num_query_tokens": 8}
    model = tiny_model(MicroEmoForConditionalGeneration, use_voice_head=True, video_qformer_config=segments)
    assert {name for name, _ in model.model.named_children()} == set(PARTS)
    assert all(part_of(name) in PARTS for name, _ in model.named_parameters() if not name.startswith("lm_head"))


def test_train_only_freezes_other_parts(model):
    train_only(model, parts=["emotion_head", "face_head"], frozen=["face_head.static_expression"])
    names = trained(model)
    assert {part_of(name) for name in names} == {"emotion_head", "face_head"}
    assert not any("static_expression" in name for name in names)


def test_missing_parts_are_refused(model):
    with pytest.raises(ValueError, match="parts has .'head'."):
        train_only(model, parts=["head"])
    with pytest.raises(ValueError, match="parts has .'face_head'., which this model was built without"):
        train_only(tiny_model(MicroEmoForConditionalGeneration, use_local_branch=False), parts=["face_head"])


def test_vectors_and_embeddings_have_no_weight_decay(model):
    train_only(model, parts=["video_qformer", "global_local_attention"])
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, weight_decay=0.05)
    decayed = {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}
    not_decayed = {names[id(p)] for group in groups if not group["weight_decay"] for p in group["params"]}
    assert decayed | not_decayed == trained(model) and not decayed & not_decayed
    assert all(name.endswith(".weight") and "norm" not in name for name in decayed)
    assert {
        "model.video_qformer.queries",
        "model.video_qformer.null_key",
        "model.global_local_attention.gate",
    } <= not_decayed


def test_learning_rate_by_part(model):
    train_only(model, parts=["emotion_head", "face_head"])
    groups = parameter_groups(model, weight_decay=0.0, learning_rates={"emotion_head": 1e-2})
    assert sorted(group.get("lr", 0.0) for group in groups) == [0.0, 1e-2]
    with pytest.raises(ValueError, match="'heads'"):
        parameter_groups(model, weight_decay=0.0, learning_rates={"heads": 1e-2})


def test_lora_factors_reproduce_the_merged_weights(model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapted = add_lora(model, lora=LoraRecipe(r=2, alpha=6, targets=("q_proj",)), parts=["emotion_head"])
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_B" in name:
                parameter.normal_()
    lora = lora_weights(adapted)
    assert (lora.rank, lora.alpha, len(lora.factors)) == (2, 6, 2)
    merged = adapted.merge_and_unload().state_dict()
    for module in lora.factors:
        weight = before[f"{module}.weight"]
        torch.testing.assert_close(merged[f"{module}.weight"], lora.merged(module, weight=weight))
        assert not torch.equal(merged[f"{module}.weight"], weight)


def test_model_without_adapters_is_refused(model):
    with pytest.raises(ValueError, match="must have adapters of one rank"):
        lora_weights(model)


def test_adapters_are_not_added_to_towers(model):
    adapted = add_lora(model, lora=LoraRecipe(r=2), parts=[])
    assert all(".language_model." in name for name in trained(adapted))
    assert lora_targets(["q_proj"]).endswith("(?:q_proj)")


def test_missing_bitsandbytes_error_names_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install bitsandbytes"):
        quantization_config({"load_in_4bit": True})


def test_only_the_language_model_is_quantized(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    config = quantization_config({"load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16"})
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    not_quantized = {f"model.{part}" for part in PARTS} - {"model.language_model"}
    assert set(config.llm_int8_skip_modules) == {*not_quantized, "lm_head"}


def test_qlora_training(workshop, tmp_path):
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="QLoRA needs bitsandbytes")
    quantization = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}
    run = workshop.prepare(tmp_path, model={"quantization": quantization}, lora={"r": 4}, learning_rate=1e-2)
    quantized = {
        name for name, module in run.trainer.model.named_modules() if isinstance(module, bitsandbytes.nn.Linear4bit)
    }
    assert quantized and all(".language_model." in name for name in quantized)
    run.trainer.train()
    finish(run)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()
    MicroEmoForConditionalGeneration.from_pretrained(tmp_path / "model")
