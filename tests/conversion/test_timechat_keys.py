"""All keys of the published checkpoints fit the presets, at full size on the meta device."""

from pathlib import Path

import pytest
import torch
from original_checkpoints import (
    Sizes,
    audio_branch_shapes,
    instructblip_shapes,
    llama_shapes,
    timechat_shapes,
    video_branch_shapes,
    vit_shapes,
)

from microemo.conversion.timechat.convert_timechat_to_hf import check_shapes
from microemo.conversion.timechat.key_rules import original_keys, plan_conversion
from microemo.conversion.timechat.seeded_parts import SEEDED_KEYS, check_seedable
from microemo.conversion.timechat.tensor_parts import Combiner
from microemo.conversion.timechat.timechat_keys import KEY_RULES, ignore_rules
from microemo.conversion.timechat.timechat_lora import check_lora
from microemo.conversion.timechat.weight_files import StoredTensor
from microemo.presets import meta_model, preset_config

SIZES = Sizes()


def unread():
    raise AssertionError("a plan must not read tensors")


def stored(*files):
    return {
        key: StoredTensor(Path("original"), shape, unread, torch.float32)
        for shapes in files
        for key, shape in shapes.items()
    }


def prefixed(prefix, shapes):
    return {prefix + key: shape for key, shape in shapes.items()}


def common_files():
    return (
        prefixed("visual_encoder.", vit_shapes(SIZES)),
        prefixed("llama_model.", llama_shapes(SIZES)),
        instructblip_shapes(SIZES),
    )


def whisper_shapes(model):
    """All encoder tensors and one of the decoder."""
    encoder = {
        "whisper.model.encoder" + key.removeprefix("model.audio_tower"): tuple(tensor.shape)
        for key, tensor in model.state_dict().items()
        if key.startswith("model.audio_tower.")
    }
    return {**encoder, "whisper.model.decoder.embed_tokens.weight": (51_865, 1024)}


def planned(model, files):
    tensors = stored(*files)
    targets = model.state_dict()
    plan = plan_conversion(tensors, targets=targets, rules=KEY_RULES, ignore_rules=ignore_rules(model.config))
    check_seedable(plan.missing, rules=KEY_RULES)
    check_shapes(plan, stored=tensors, targets=targets, combine=Combiner(32.0))
    used = {source for parts in plan.recipes.values() for source in parts.values()}
    assert used | set(plan.ignored) == set(tensors)
    assert not used & set(plan.ignored)
    assert set(plan.recipes) | set(plan.missing) == set(targets)
    return plan


def test_timechat():
    plan = planned(meta_model(preset_config("timechat")), (*common_files(), timechat_shapes(SIZES)))
    assert plan.missing[0] == "model.video_qformer.null_key"
    assert all(key.startswith("model.emotion_head.") for key in plan.missing[1:])
    assert sum(len(parts) == 3 for parts in plan.recipes.values()) == 32 * 4  # LoRA on q, k, v, o of every layer
    assert sum(parts.keys() == {"query_bias", "value_bias"} for parts in plan.recipes.values()) == 39
    assert {key for key in plan.ignored if "blocks" in key} == {
        f"visual_encoder.{key}" for key in vit_shapes(SIZES) if key.startswith("blocks.39.")
    }


def test_preset_7b_is_initialised_from_timechat():
    model = meta_model(preset_config("7b"))
    plan = planned(model, (*common_files(), timechat_shapes(SIZES), whisper_shapes(model)))
    parts = {key.removeprefix("model.").partition(".")[0] for key in plan.missing}
    assert parts == {
        "micro_dynamics",
        "global_local_attention",
        "face_head",
        "video_qformer",
        "audio_qformer",
        "audio_projector",
        "emotion_head",
    }


def test_acoustemo_uses_the_audio_branch_of_video_llama():
    config = preset_config("acoustemo")
    config.audio_qformer_config.num_query_tokens = SIZES.audio_queries
    model = meta_model(config)
    files = (*common_files(), timechat_shapes(SIZES), audio_branch_shapes(SIZES), whisper_shapes(model))
    plan = planned(model, files)
    assert [key for key in plan.missing if "audio" in key] == ["model.audio_qformer.null_key"]


def test_video_llama():
    sizes = Sizes(frames=32)
    plan = planned(meta_model(preset_config("video_llama")), (*common_files(), video_branch_shapes(sizes)))
    assert "Qformer.bert.embeddings.word_embeddings.weight" in plan.ignored
    assert "Qformer.bert.encoder.layer.3.output.dense.bias" in plan.ignored


@pytest.mark.parametrize(
    ("lost", "ours"),
    [
        ("llama_proj.bias", "model.video_projector.bias"),
        ("ln_vision.weight", "model.frame_tower.post_layernorm.weight"),
        ("llama_model.model.layers.31.mlp.up_proj.weight", "model.language_model.layers.31.mlp.up_proj.weight"),
        ("video_Qformer.bert.encoder.layer.1.output_query.dense.bias", "model.video_qformer.encoder.layers.1"),
    ],
)
def test_missing_tensor_error_has_the_original_name(lost, ours):
    files = [{key: shape for key, shape in file.items() if key != lost} for file in common_files()]
    checkpoint = {key: shape for key, shape in timechat_shapes(SIZES).items() if key != lost}
    with pytest.raises(ValueError, match=rf"1 original keys are .* in none of the files: {lost} \(-> {ours}"):
        planned(meta_model(preset_config("timechat")), (*files, checkpoint))


def test_rules_can_be_inverted():
    """Inverted rules give all keys of the published TimeChat."""
    model = meta_model(preset_config("timechat"))
    plan = planned(model, (*common_files(), timechat_shapes(SIZES)))
    for target, parts in plan.recipes.items():
        assert original_keys(target, rules=KEY_RULES).items() >= parts.items(), target


def without_lora(checkpoint, *modules):
    """The checkpoint without the LoRA factors of these modules, by default of all modules."""
    prefix = "llama_model.base_model.model.model."
    lost = tuple(prefix + module for module in modules) or (prefix,)
    return {key: shape for key, shape in checkpoint.items() if not key.startswith(lost)}


@pytest.mark.parametrize(
    ("lost", "count"), [(("layers.3.self_attn.k_proj.",), 127), (("layers.0.", "layers.9."), 120), ((), 0)]
)
def test_incomplete_lora_warning_has_the_count(lost, count):
    config = preset_config("timechat")
    plan = planned(meta_model(config), (*common_files(), without_lora(timechat_shapes(SIZES), *lost)))
    named = (lost or ("layers.0.",))[0].removesuffix(".")
    with pytest.warns(UserWarning, match=rf"LoRA for {count} of the 128 attention matrices.*not adapted: {named}"):
        assert len(check_lora(plan, config=config, strict=False)) == 128 - count
    with pytest.raises(ValueError, match=f"LoRA for {count} of the 128"):
        check_lora(plan, config=config, strict=True)


def test_no_warning_for_complete_or_absent_lora():
    for name, checkpoint in (
        ("timechat", timechat_shapes(SIZES)),
        ("video_llama", video_branch_shapes(Sizes(frames=32))),
    ):
        plan = planned(meta_model(preset_config(name)), (*common_files(), checkpoint))
        assert check_lora(plan, config=preset_config(name), strict=True) == ()


def test_single_lora_factor_is_refused():
    checkpoint = timechat_shapes(SIZES)
    del checkpoint["llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight"]
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.q_proj\.weight .* cannot be made of .*lora_down"):
        planned(meta_model(preset_config("timechat")), (*common_files(), checkpoint))


def test_mismatched_shape_is_refused():
    checkpoint = {**timechat_shapes(SIZES), "llama_proj.weight": (5120, 768)}
    with pytest.raises(ValueError, match=r"does not fit the configuration: .*llama_proj\.weight.*5120"):
        planned(meta_model(preset_config("timechat")), (*common_files(), checkpoint))


def test_seeded_parts_are_those_missing_in_timechat():
    assert not any(key.startswith(("model.frame_", "model.language_model", "lm_head")) for key in SEEDED_KEYS)
