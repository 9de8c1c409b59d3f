"""Original files of a tiny TimeChat, with their config and processor."""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from pathlib import Path

import torch
from original_checkpoints import (
    TINY,
    audio_branch_shapes,
    instructblip_shapes,
    llama_shapes,
    random_tensors,
    timechat_shapes,
    video_branch_shapes,
    vit_shapes,
)
from safetensors.torch import save_file
from tiny_processor import tiny_tokenizer
from transformers import LlamaConfig, LlamaTokenizer, WhisperFeatureExtractor

from microemo import MicroEmoConfig, MicroEmoProcessor
from microemo.conversion.timechat.convert_timechat_to_hf import OriginalFiles
from microemo.processing.timechat_preset import timechat_processor

VISION_HEADS, HEADS, LLAMA_HEADS = 3, 4, 2
PIXELS = 16  # 4 x 4 patches
WINDOW, STRIDE = 4, 3

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TinyOriginal:
    """The files and their tensors."""

    files: OriginalFiles
    vit: Weights
    bridge: Weights  # the Q-Formers and projections, with later files overriding earlier ones
    llama: Weights
    lora: Weights


def write_timechat(folder: Path, *, frames: int = TINY.frames) -> TinyOriginal:
    """TimeChat's four files; LLaMA in two shards."""
    sizes = TINY
    vit = random_tensors(vit_shapes(sizes), seed=1)
    qformer = random_tensors(instructblip_shapes(sizes), seed=2)
    checkpoint = random_tensors(timechat_shapes(sizes), seed=3)
    checkpoint["video_frame_position_embedding.weight"] = checkpoint["video_frame_position_embedding.weight"][:frames]
    torch.save(vit, folder / "eva_vit_g.pth")
    torch.save({"model": qformer}, folder / "instruct_blip.pth")
    torch.save({"model": checkpoint, "epoch": 2, "config": {"run": {"seed": 42}}}, folder / "timechat_7b.pth")
    llama = write_llama(folder / "llama")
    files = OriginalFiles(
        vit=folder / "eva_vit_g.pth",
        qformer=folder / "instruct_blip.pth",
        llama=folder / "llama",
        checkpoints=(folder / "timechat_7b.pth",),
    )
    lora = {key: value for key, value in checkpoint.items() if "lora_" in key}
    return TinyOriginal(files, vit=vit, bridge={**qformer, **checkpoint}, llama=llama, lora=lora)


def write_video_llama(folder: Path) -> TinyOriginal:
    """Video-LLaMA's files: a vision and an audio checkpoint on BLIP-2's Q-Former."""
    sizes = TINY
    vit = random_tensors(vit_shapes(sizes), seed=1)
    qformer = random_tensors(instructblip_shapes(sizes), seed=2)
    vision = random_tensors(video_branch_shapes(sizes), seed=4)
    audio = random_tensors(audio_branch_shapes(sizes), seed=5)
    torch.save(vit, folder / "eva_vit_g.pth")
    torch.save({"model": qformer}, folder / "blip2.pth")
    torch.save({"model": vision}, folder / "VL.pth")
    torch.save({"model": audio}, folder / "AL.pth")
    llama = write_llama(folder / "llama")
    files = OriginalFiles(
        vit=folder / "eva_vit_g.pth",
        qformer=folder / "blip2.pth",
        llama=folder / "llama",
        checkpoints=(folder / "VL.pth",),
    )
    return TinyOriginal(files, vit=vit, bridge={**qformer, **vision, **audio}, llama=llama, lora={})


def write_llama(folder: Path) -> Weights:
    """A language model's folder: config, tokenizer, one shard of each format."""
    folder.mkdir()
    weights = random_tensors(llama_shapes(TINY), seed=6)
    LlamaConfig(**text_settings(vocab_size=TINY.llama_vocabulary)).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    torch.save(weights, folder / "pytorch_model.bin")
    return weights


def llama_tokenizer() -> LlamaTokenizer:
    """A LLaMA-like tokenizer with one token per character; "[" at the start of a text differs from one inside."""
    symbols = ["<unk>", "<s>", "</s>", *string.printable.strip(), "\n", "\u2581", "\u2581["]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return LlamaTokenizer(vocab=vocabulary, merges=[("\u2581", "[")])


def text_settings(*, vocab_size: int) -> dict:
    return {
        "model_type": "llama",
        "vocab_size": vocab_size,
        "hidden_size": TINY.llama_width,
        "intermediate_size": TINY.llama_mlp,
        "num_hidden_layers": TINY.llama_depth,
        "num_attention_heads": LLAMA_HEADS,
        "num_key_value_heads": LLAMA_HEADS,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 257,
        "eos_token_id": 258,
        "pad_token_id": 258,
    }


def timechat_config(**changes) -> MicroEmoConfig:
    """The config of the tiny originals, with TimeChat's settings."""
    part = {"hidden_size": TINY.width, "num_attention_heads": HEADS, "intermediate_size": TINY.mlp}
    settings = {
        "vision_config": {
            "model_type": "instructblip_vision_model",
            "hidden_size": TINY.vision_width,
            "intermediate_size": TINY.vision_mlp,
            "num_hidden_layers": TINY.vision_depth,
            "num_attention_heads": VISION_HEADS,
            "image_size": PIXELS,
            "patch_size": TINY.patch,
        },
        "vision_output_norm_eps": 1e-5,
        "face_config": None,
        "text_config": text_settings(vocab_size=262),
        "qformer_config": {
            **part,
            "num_hidden_layers": TINY.qformer_depth,
            "num_query_tokens": TINY.queries,
            "cross_attention_frequency": 2,
            "vocab_size": TINY.vocabulary,
            "max_position_embeddings": TINY.positions,
            "keep_text_tokens": True,
            "mask_text_padding": False,
        },
        "video_qformer_config": {
            **part,
            "num_hidden_layers": 2,
            "num_query_tokens": TINY.queries,
            "max_encoder_positions": TINY.frames,
        },
        "video_token_id": 259,
        "audio_token_id": 260,
        "utterance_end_token_id": 261,
        "timestamp": "text",
        "use_local_branch": False,
        "use_audio_branch": False,
        "utterance_mode": "window",
        "window_frames": WINDOW,
        "window_stride": STRIDE,
    }
    return MicroEmoConfig(**{**settings, **changes})


def converted_processor(config: MicroEmoConfig) -> MicroEmoProcessor:
    """A processor that matches the config."""
    return timechat_processor(
        tiny_tokenizer(),
        qformer_tokenizer=tiny_tokenizer(),
        feature_extractor=WhisperFeatureExtractor(feature_size=8, chunk_length=1),
        timestamp=config.timestamp,
        utterance_mode=config.utterance_mode,
        window_frames=config.window_frames,
        window_stride=config.window_stride,
        video_tokens_per_segment=config.video_qformer_config.num_query_tokens,
        audio_tokens_per_segment=config.audio_qformer_config.num_query_tokens,
    )


def split_llama(folder: Path, weights: Weights) -> None:
    """Rewrites the language model as two safetensors shards with an index."""
    (folder / "pytorch_model.bin").unlink()
    names = sorted(weights)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key: weights[key] for key in keys}, folder / file)
    index = {key: file for file, keys in shards.items() for key in keys}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
