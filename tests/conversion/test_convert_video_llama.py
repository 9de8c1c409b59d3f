"""Converted Video-LLaMA: no timestamps and windows, audio Q-Former on ImageBind vectors."""

from dataclasses import replace

import pytest
import torch
from original_checkpoints import TINY
from timechat_files import (
    HEADS,
    PIXELS,
    VISION_HEADS,
    converted_processor,
    timechat_config,
    write_video_llama,
)
from timechat_reference import audio_tokens, frame_states, video_tokens
from tiny_model import WHISPER
from transformers import WhisperConfig, WhisperForConditionalGeneration

from microemo import MicroEmoForConditionalGeneration
from microemo.conversion.timechat.convert_timechat_to_hf import ConversionOptions, convert_timechat

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
OPTIONS = ConversionOptions(dtype="float32")
WITHOUT_TIMES = {"timestamp": "none", "utterance_mode": "clip"}


def converted(original, out, config):
    convert_timechat(original.files, out, config=config, processor=converted_processor(config), options=OPTIONS)
    return MicroEmoForConditionalGeneration.from_pretrained(out, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_video_llama(tmp_path_factory.mktemp("original"))


@torch.no_grad()
def test_video_tokens_equal_video_llama(original, tmp_path):
    model = converted(original, tmp_path / "out", timechat_config(**WITHOUT_TIMES))
    frames, times = torch.randn(1, 6, 3, PIXELS, PIXELS), torch.arange(6.0)[None]
    (tokens,) = model.get_video_features(frames, times, return_dict=True).pooler_output
    states = frame_states(original.vit, original.bridge, frames[0], sizes=TINY, vision_heads=VISION_HEADS, heads=HEADS)
    wanted = video_tokens(original.bridge, states, window=0, stride=0, heads=HEADS)
    torch.testing.assert_close(tokens, wanted, **TOLERANCE)


@torch.no_grad()
def test_audio_branch_equals_video_llama(original, tmp_path):
    whisper = {**WHISPER, "d_model": TINY.audio_width}
    WhisperForConditionalGeneration(WhisperConfig(**whisper)).save_pretrained(tmp_path / "whisper")
    files = replace(
        original.files,
        checkpoints=(*original.files.checkpoints, original.files.vit.with_name("AL.pth")),
        whisper=tmp_path / "whisper",
    )
    config = timechat_config(
        **WITHOUT_TIMES,
        use_audio_branch=True,
        audio_config=whisper,
        audio_qformer_config={
            "hidden_size": TINY.width,
            "num_attention_heads": HEADS,
            "intermediate_size": TINY.mlp,
            "num_query_tokens": TINY.audio_queries,
            "max_encoder_positions": TINY.audio_positions,
        },
    )
    model = converted(replace(original, files=files), tmp_path / "out", config).model
    vectors = torch.randn(4, TINY.audio_width)  # of four clips of two seconds
    tokens = model.audio_qformer(
        vectors[None], positions=torch.arange(4)[None], membership=torch.ones(1, 1, 4, dtype=torch.bool)
    )
    wanted = audio_tokens(original.bridge, vectors, heads=HEADS)
    torch.testing.assert_close(model.audio_projector(tokens[0, 0]), wanted, **TOLERANCE)
    theirs = WhisperForConditionalGeneration.from_pretrained(tmp_path / "whisper").get_encoder()
    sound = torch.randn(1, 8, 100)
    torch.testing.assert_close(
        model.audio_tower(sound).last_hidden_state, theirs(sound).last_hidden_state, **TOLERANCE
    )


def test_audio_is_refused_without_audio_branch(original, tmp_path):
    model = converted(original, tmp_path / "out", timechat_config(**WITHOUT_TIMES))
    with pytest.raises(ValueError, match="without an audio branch"):
        model.get_audio_features(torch.zeros(1, 1, 8, 100))
