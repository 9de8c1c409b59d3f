"""Ablation switches of the config."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import (
    AUDIO_TOKENS,
    MOBILENET,
    PART,
    VIDEO_TOKENS,
    VIT,
    WAV2VEC2,
    collate,
    tiny_clip,
    tiny_config,
    tiny_model,
    tiny_prompt,
)

from microemo import MicroEmoForConditionalGeneration, MicroEmoModel

LOCAL_PARTS = ("face_tower.", "micro_dynamics.", "global_local_attention.", "face_head.")


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def with_prompt(clip, *, num_segments):
    num_utterances = clip["utterance_times"].shape[1]
    clip["input_ids"] = torch.tensor([tiny_prompt(num_segments, num_utterances=num_utterances)])
    clip["attention_mask"] = torch.ones_like(clip["input_ids"])
    return clip


def test_a_gate_at_zero_equals_the_model_without_local_branch():
    full = tiny_model(MicroEmoForConditionalGeneration)
    full.model.global_local_attention.gate.zero_()
    bare = MicroEmoForConditionalGeneration(tiny_config(use_local_branch=False)).eval()
    missing, unexpected = bare.load_state_dict(full.state_dict(), strict=False)
    assert missing == []
    assert unexpected and all(key.removeprefix("model.").startswith(LOCAL_PARTS) for key in unexpected)
    clip = tiny_clip(2)
    one, other = full(**clip), bare(**clip)
    torch.testing.assert_close(one.logits, other.logits)
    torch.testing.assert_close(one.emotion_logits, other.emotion_logits)
    assert other.micro_logits is None


def test_an_untrained_branch_is_closed(tmp_path):
    MicroEmoModel(tiny_config()).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    parts = ("global_local_attention.", "face_head.dynamic_expression.")
    save_file(
        {name: value for name, value in weights.items() if not name.startswith(parts)},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    loaded, _ = MicroEmoModel.from_pretrained(tmp_path, output_loading_info=True)
    for model in (MicroEmoModel(tiny_config()), loaded):
        assert model.global_local_attention.gate.item() == 0
        assert not model.face_head.dynamic_expression.weight.any()
        assert not model.face_head.dynamic_expression.bias.any()
        assert model.global_local_attention.q_proj.weight.std() > 0


def test_without_local_branch_face_features_are_refused():
    bare = MicroEmoModel(tiny_config(use_local_branch=False))
    with pytest.raises(ValueError, match="without a local branch"):
        bare.get_face_features(torch.zeros(1, 2, 3, 64, 64), torch.zeros(1, 2))


def test_mode_clip_reads_the_whole_clip_alone():
    model = tiny_model(MicroEmoForConditionalGeneration, utterance_mode="clip")
    clip = with_prompt(tiny_clip(2), num_segments=1)
    output = model(**clip)
    assert output.emotion_logits.shape == (1, 2, 3)  # utterances keep their ends
    times = {name: clip[name] for name in ("frame_times", "utterance_times", "utterance_mask")}
    video = model.get_video_features(clip["pixel_values_videos"], **times)
    assert [len(tokens) for tokens in video.pooler_output] == [VIDEO_TOKENS]


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (4, 2), (3, 1), (100, 100)])
def test_mode_window_has_a_segment_a_stride(window, stride):
    model = tiny_model(
        MicroEmoForConditionalGeneration, utterance_mode="window", window_frames=window, window_stride=stride
    )
    counts = [-(-num_frames // stride) for num_frames in (7, 3)]
    clips = [
        with_prompt(tiny_clip(2, num_frames=num_frames, seed=num_frames), num_segments=count)
        for num_frames, count in zip((7, 3), counts, strict=True)
    ]
    together = model(**collate(clips))
    assert together.emotion_logits.shape == (2, 2, 3)
    for row, clip in enumerate(clips):
        length = clip["input_ids"].shape[1]
        alone = model(**clip)
        torch.testing.assert_close(together.logits[row, :length], alone.logits[0], atol=1e-5, rtol=1e-5)


def test_a_window_equals_a_clip_of_its_frames():
    window = tiny_model(MicroEmoModel, utterance_mode="window", window_frames=3, window_stride=3)
    whole = tiny_model(MicroEmoModel, utterance_mode="clip")
    clip = tiny_clip(0, num_frames=6)
    tokens = window.get_video_features(clip["pixel_values_videos"], clip["frame_times"]).pooler_output[0]
    first = whole.get_video_features(clip["pixel_values_videos"][:, :3], clip["frame_times"][:, :3]).pooler_output[0]
    torch.testing.assert_close(tokens[:VIDEO_TOKENS], first, atol=1e-5, rtol=1e-5)


def test_sound_without_frames_is_one_window():
    model = tiny_model(MicroEmoModel, utterance_mode="window")
    audio = model.get_audio_features(tiny_clip(2)["input_features"])
    assert [len(tokens) for tokens in audio.pooler_output] == [AUDIO_TOKENS]


def test_time_as_a_sentence():
    model = tiny_model(
        MicroEmoForConditionalGeneration,
        timestamp="text",
        qformer_config={**PART, "num_query_tokens": 4, "vocab_size": 30, "keep_text_tokens": True},
    )
    clip = tiny_clip(2)
    clip["qformer_input_ids"] = torch.randint(1, 30, (1, 4, 7))
    clip["qformer_attention_mask"] = torch.ones(1, 4, 7, dtype=torch.long)
    clip["qformer_attention_mask"][0, 0, 5:] = 0
    one = model(**clip).logits
    clip["qformer_input_ids"][0, 0, 5:] = 3  # behind the end of the sentence
    torch.testing.assert_close(model(**clip).logits, one)
    clip["qformer_input_ids"][0, 0, 0] = 29
    assert not torch.allclose(model(**clip).logits, one, atol=1e-4)
    del clip["qformer_input_ids"]
    with pytest.raises(ValueError, match='timestamp is "text"'):
        model(**clip)


def test_shared_tower_encodes_faces():
    model = tiny_model(
        MicroEmoForConditionalGeneration,
        vision_config={**VIT, "image_size": 32},
        face_config=None,
        dynamics_config={**PART, "max_regions": 8},
    )
    clip = tiny_clip(2)
    clip["face_pixel_values"] = clip["face_pixel_values"][..., :32, :32]
    assert not any("face_tower" in name for name, _ in model.named_parameters())
    assert model(**clip).micro_logits.shape == (1, 9)


def test_tower_of_raw_samples():
    model = tiny_model(MicroEmoForConditionalGeneration, audio_config=WAV2VEC2)
    clip = tiny_clip(2)
    clip["input_features"] = torch.randn(1, 3, 16_000)
    clip["audio_mask"] = torch.ones(1, 3, 16_000, dtype=torch.bool)
    clip["audio_mask"][0, 2, 8_000:] = False
    one = model(**clip)
    assert one.logits.isfinite().all()
    longer = {
        **clip,
        "input_features": torch.cat((clip["input_features"], torch.randn(1, 1, 16_000)), dim=1),
        "audio_mask": torch.cat((clip["audio_mask"], torch.zeros(1, 1, 16_000, dtype=torch.bool)), dim=1),
    }
    torch.testing.assert_close(model(**longer).logits, one.logits, atol=1e-5, rtol=1e-5)


def test_without_audio_branch_frames_are_unchanged():
    full = tiny_model(MicroEmoForConditionalGeneration)
    bare = MicroEmoForConditionalGeneration(tiny_config(use_audio_branch=False)).eval()
    missing, unexpected = bare.load_state_dict(full.state_dict(), strict=False)
    assert missing == []
    assert unexpected and all("audio_" in key for key in unexpected)
    clip = tiny_clip(2)
    sound = {name: clip.pop(name) for name in ("input_features", "audio_mask")}
    ids = tiny_prompt(3, num_utterances=2, has_audio=False)
    clip["input_ids"] = torch.tensor([ids])
    clip["attention_mask"] = torch.ones_like(clip["input_ids"])
    torch.testing.assert_close(full(**clip).logits, bare(**clip).logits)
    bare.train()
    with pytest.raises(ValueError, match="without an audio branch"):
        bare(**clip, **sound)


def test_epsilon_of_the_frame_towers_last_norm():
    vision = {
        "model_type": "instructblip_vision_model",
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 37,
        "image_size": 32,
        "patch_size": 16,
        "layer_norm_eps": 1e-6,
    }
    tower = MicroEmoModel(tiny_config(vision_config=vision, vision_output_norm_eps=1e-5)).frame_tower
    assert tower.post_layernorm.eps == 1e-5 and tower.encoder.layers[0].layer_norm1.eps == 1e-6
    with pytest.raises(ValueError, match="vision_output_norm_eps is set, but a 'mobilenet_v2' tower"):
        MicroEmoModel(tiny_config(vision_config=MOBILENET, vision_output_norm_eps=1e-5))
