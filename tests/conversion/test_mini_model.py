"""microemo-mini built from tiny random parts: source of every weight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_public_parts import tiny_public_parts, write_checkpoint

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.mini.mini_model import PublicParts, build_mini, extend_embedding
from microemo.conversion.mini.trained_parts import TrainedCheckpoint, read_checkpoint
from microemo.presets import preset_config
from microemo.processing.prompt_text import SPECIAL_TOKENS

UNTRAINED = TrainedCheckpoint()


@pytest.fixture(scope="module")
def parts() -> PublicParts:
    return tiny_public_parts()


@pytest.fixture(scope="module")
def mini(parts: PublicParts) -> MicroEmoForConditionalGeneration:
    return build_mini(parts, checkpoint=UNTRAINED)[0]


def test_public_weights_are_loaded(parts: PublicParts, mini: MicroEmoForConditionalGeneration) -> None:
    weights = mini.state_dict()
    public = {
        "frame_tower": parts.vision_state_dict,
        "face_tower": parts.vision_state_dict,
        "audio_tower": parts.speech.encoder_state_dict(),
        "language_model": parts.language_model.state_dict,
    }
    for tower, expected in public.items():
        found = {
            key.removeprefix(f"model.{tower}."): value for key, value in weights.items() if f"model.{tower}." in key
        }
        assert found.keys() == expected.keys()
        for key in expected.keys() - {"embed_tokens.weight"}:
            assert torch.equal(found[key], expected[key]), key


def test_new_tokens_get_the_mean_embedding_and_output_is_tied(
    parts: PublicParts, mini: MicroEmoForConditionalGeneration
) -> None:
    old = parts.language_model.state_dict["embed_tokens.weight"]
    embedding = mini.get_input_embeddings().weight
    assert torch.equal(embedding[: len(old)], old)
    torch.testing.assert_close(embedding[len(old) :], old.mean(0, keepdim=True).expand(3, -1))
    assert mini.get_output_embeddings().weight is embedding


def test_special_token_ids_match_the_config(parts: PublicParts) -> None:
    model, processor = build_mini(parts, checkpoint=UNTRAINED)
    config = model.config
    expected = [config.video_token_id, config.audio_token_id, config.utterance_end_token_id]
    assert processor.tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == expected
    assert expected == list(range(config.text_config.vocab_size - 3, config.text_config.vocab_size))
    assert model.generation_config.suppress_tokens == expected
    assert len(parts.language_model.tokenizer) == config.text_config.vocab_size - 3  # the converted one is untouched


def test_preset_enables_the_parts_of_mini(mini: MicroEmoForConditionalGeneration) -> None:
    preset = preset_config("mini")
    switches = {name for name in preset.to_dict() if name.startswith("use_")}
    assert {"use_evidence_prompt", "use_voice_head"} <= switches
    assert {name: getattr(mini.config, name) for name in switches} == {
        name: getattr(preset, name) for name in switches
    }
    assert mini.config.dynamics_config.use_mirrored_view and preset.dynamics_config.use_mirrored_view


def test_seeded_weights_do_not_depend_on_the_global_generator(
    parts: PublicParts, mini: MicroEmoForConditionalGeneration
) -> None:
    torch.manual_seed(1234)
    state = torch.get_rng_state()
    again = build_mini(parts, checkpoint=UNTRAINED)[0].state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    for key, value in mini.state_dict().items():
        assert torch.equal(again[key], value), key
        assert torch.isfinite(value).all(), key
    assert again["model.video_projector.weight"].std() > 0
    assert not again["model.global_local_attention.gate"].any()
    assert not again["model.face_head.dynamic_expression.weight"].any()


def test_checkpoint_changes_only_its_weights(
    parts: PublicParts, mini: MicroEmoForConditionalGeneration, tmp_path: Path
) -> None:
    before = mini.state_dict()
    own = {key: torch.ones_like(value) for key, value in before.items() if key.startswith("model.face_tower.")}
    own["model.face_head.static_expression.bias"] = torch.arange(8, dtype=torch.float16)
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, own, trained_parts=["face_tower"]))
    model, _ = build_mini(parts, checkpoint=checkpoint)
    assert model.config.trained_parts == ["face_tower"]
    for key, value in model.state_dict().items():
        expected = own.get(key, before[key])
        assert torch.equal(value, expected.to(value.dtype)), key


def test_processor_has_the_recorded_reading_settings(parts: PublicParts) -> None:
    default = build_mini(parts, checkpoint=UNTRAINED)[1].reading_settings
    learned = TrainedCheckpoint(reading_settings={"num_frames": 12, "faces_everywhere": True})
    assert build_mini(parts, checkpoint=learned)[1].reading_settings == default | dict(learned.reading_settings)
    with pytest.raises(ValueError, match=r"reading_settings has unknown names \['frames'\]"):
        build_mini(parts, checkpoint=TrainedCheckpoint(reading_settings={"frames": 12}))


def test_mismatched_public_weights_are_refused(parts: PublicParts) -> None:
    vision = dict(parts.vision_state_dict)
    del vision["conv_1x1.convolution.weight"]
    with pytest.raises(ValueError, match=r"2 weights are not found .*conv_1x1\.convolution\.weight"):
        build_mini(replace(parts, vision_state_dict=vision), checkpoint=UNTRAINED)
    with pytest.raises(ValueError, match="2 weights are unknown to the model"):
        build_mini(
            replace(parts, vision_state_dict=parts.vision_state_dict | {"extra": torch.zeros(1)}), checkpoint=UNTRAINED
        )


def test_saved_model_loads_bit_equal(parts: PublicParts, tmp_path: Path) -> None:
    model, processor = build_mini(parts, checkpoint=UNTRAINED)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded, report = MicroEmoForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key


def test_embedding_cannot_shrink() -> None:
    with pytest.raises(ValueError, match=r"rows \(2\) must be at least the 3 rows"):
        extend_embedding(torch.zeros(3, 4), rows=2)
