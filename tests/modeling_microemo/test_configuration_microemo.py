"""The config: keys, validation and round trip through a file."""

import dataclasses

import pytest
from huggingface_hub.errors import StrictDataclassFieldValidationError
from tiny_model import tiny_config
from transformers import AutoConfig, PreTrainedConfig, Wav2Vec2Config

from microemo import (
    MicroEmoAudioQFormerConfig,
    MicroEmoConfig,
    MicroEmoDynamicsConfig,
    MicroEmoQFormerConfig,
    MicroEmoVideoQFormerConfig,
)
from microemo.configuration_microemo import tower_width

INHERITED = set(PreTrainedConfig().to_dict())
SUB_CONFIGS = {
    "vision_config",
    "face_config",
    "audio_config",
    "text_config",
    "qformer_config",
    "video_qformer_config",
    "audio_qformer_config",
    "dynamics_config",
}
OWN_KEYS = SUB_CONFIGS | {
    "video_token_id",
    "audio_token_id",
    "utterance_end_token_id",
    "timestamp",
    "visual_projection",
    "use_local_branch",
    "use_audio_branch",
    "use_evidence_prompt",
    "use_global_local_attention",
    "use_soft_tokens",
    "use_voice_head",
    "vision_output_norm_eps",
    "utterance_mode",
    "window_frames",
    "window_stride",
    "language_loss_weight",
    "emotion_loss_weight",
    "face_loss_weight",
    "num_facial_actions",
    "emotion_id2label",
    "expression_id2label",
    "action_unit_id2label",
    "voice_id2label",
    "trained_parts",
    "initializer_range",
    "tie_word_embeddings",
}
QFORMER_KEYS = {
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "num_query_tokens",
    "cross_attention_frequency",
    "encoder_hidden_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
}
PART_KEYS = {
    MicroEmoQFormerConfig: QFORMER_KEYS
    | {"vocab_size", "max_position_embeddings", "pad_token_id", "keep_text_tokens", "mask_text_padding"},
    MicroEmoVideoQFormerConfig: QFORMER_KEYS | {"max_encoder_positions"},
    MicroEmoAudioQFormerConfig: QFORMER_KEYS | {"max_encoder_positions"},
    MicroEmoDynamicsConfig: (QFORMER_KEYS - {"num_query_tokens", "cross_attention_frequency"})
    | {"max_regions", "dynamics_window_seconds", "use_mirrored_view"},
}


def test_the_config_has_exactly_these_keys():
    assert set(MicroEmoConfig().to_dict()) - INHERITED == OWN_KEYS - INHERITED
    assert {field.name for field in dataclasses.fields(MicroEmoConfig)} >= OWN_KEYS


@pytest.mark.parametrize("part", PART_KEYS, ids=lambda part: part.model_type)
def test_a_parts_config_has_exactly_these_keys(part):
    assert set(part().to_dict()) - INHERITED == PART_KEYS[part] - INHERITED


@pytest.mark.parametrize("config", [MicroEmoConfig(), tiny_config(), tiny_config(timestamp="text")])
def test_a_saved_config_is_the_same_when_read(config, tmp_path):
    config.save_pretrained(tmp_path)
    read = AutoConfig.from_pretrained(tmp_path)
    assert type(read) is MicroEmoConfig
    assert {**read.to_dict(), "_name_or_path": ""} == config.to_dict()
    assert read.emotion_id2label == config.emotion_id2label


def test_the_defaults_are_mini():
    config = MicroEmoConfig()
    assert config.qformer_config.encoder_hidden_size == 1280
    assert config.dynamics_config.encoder_hidden_size == 1280
    assert config.audio_qformer_config.encoder_hidden_size == 512  # Whisper base
    assert (config.video_qformer_config.num_query_tokens, config.audio_qformer_config.num_query_tokens) == (8, 4)
    assert [len(config.emotion_id2label), len(config.expression_id2label), len(config.action_unit_id2label)] == [
        30,
        8,
        18,
    ]
    assert config.num_facial_actions == 52
    assert config.tie_word_embeddings  # as the language model says


def test_a_shared_tower_gives_its_width_to_the_dynamics():
    config = tiny_config(face_config=None)
    assert config.face_config is None
    assert config.dynamics_config.encoder_hidden_size == config.vision_config.hidden_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_stride": 33}, r"window_stride \(33\) must be between 1 and window_frames \(32\)"),
        ({"window_stride": 0}, r"window_stride \(0\) must be between 1"),
        ({"audio_token_id": 3}, r"must differ, got \(3, 3, 5\)"),
        ({"face_loss_weight": -1.0}, r"face_loss_weight \(-1.0\) must be >= 0"),
        ({"trained_parts": ["eyes"]}, r"trained_parts has \['eyes'\]; allowed are"),
        ({"qformer_config": {"hidden_size": 30, "num_attention_heads": 4}}, r"qformer_config.hidden_size \(30\)"),
        ({"dynamics_config": {"hidden_size": 30, "num_attention_heads": 2}}, r"even hidden_size"),
        ({"dynamics_config": {"dynamics_window_seconds": 0.0}}, r"dynamics_window_seconds \(0.0\) must be > 0"),
    ],
)
def test_impossible_combinations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)


@pytest.mark.parametrize(
    "changes", [{"timestamp": "sundial"}, {"utterance_mode": 3}, {"window_frames": "many"}, {"vision_config": "vit"}]
)
def test_wrong_types_and_choices_are_refused(changes):
    with pytest.raises(StrictDataclassFieldValidationError, match=next(iter(changes))):
        tiny_config(**changes)


def test_a_tower_without_a_width_is_named():
    with pytest.raises(ValueError, match="'' tower has neither hidden_size nor hidden_sizes"):
        tower_width(PreTrainedConfig())
    assert tower_width(Wav2Vec2Config(hidden_size=48)) == 48


def test_labels_keep_the_order_of_their_numbers(tmp_path):
    MicroEmoConfig().save_pretrained(tmp_path)
    reloaded = MicroEmoConfig.from_pretrained(tmp_path)
    assert list(reloaded.emotion_id2label) == list(range(30))
    assert list(reloaded.action_unit_id2label.values()) == list(MicroEmoConfig().action_unit_id2label.values())


def test_the_neutral_expression_is_found_by_its_name():
    assert tiny_config(expression_id2label={0: "neutral", 1: "happiness"}).neutral_expression == 0
    assert tiny_config(expression_id2label={0: "happiness", 1: "neutral"}).neutral_expression == 1
    assert tiny_config(expression_id2label={0: "happiness"}).neutral_expression is None


@pytest.mark.parametrize(
    "name", ["use_face_readout", "use_voice_readout", "use_found_expressions", "use_answer_rules"]
)
def test_fields_of_older_versions_are_named(name):
    with pytest.raises(ValueError, match=f"older version.*{name}"):
        MicroEmoConfig(**{name: True})
