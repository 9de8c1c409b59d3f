"""A processor of a few kilobytes, for tests: byte-level tokenizer, small frames, short audio windows."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import SPECIAL_TOKENS
from microemo.processing.speech_recognition import SpeechRecognizer
from microemo.processing.video_processing_microemo import MicroEmoVideoProcessor
from microemo.processing.whisper_torch import TorchWhisper

CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # as in SmolLM2
VOCAB_SIZE = 256 + len(CHAT_TOKENS) + len(SPECIAL_TOKENS)


def tiny_tokenizer(*, context: int = 8192) -> PreTrainedTokenizerFast:
    """Returns a tokenizer with one id per byte, ChatML's tokens and ours: `VOCAB_SIZE` ids."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<|endoftext|>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=context,
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_processor(*, chunk_length: int = 2, context: int = 8192, **settings) -> MicroEmoProcessor:
    """Returns a processor with 32-pixel frames, 16-pixel faces and audio windows of `chunk_length` seconds.

    `settings` are the arguments of `MicroEmoProcessor` (utterance_mode, window_stride, ...). A `timestamp="text"`
    gets the tiny tokenizer as `qformer_tokenizer` too.
    """
    if settings.get("timestamp") == "text":
        settings.setdefault("qformer_tokenizer", tiny_tokenizer())
    return MicroEmoProcessor(
        MicroEmoVideoProcessor(size={"height": 32, "width": 32}, face_size=16, max_frames=8),
        WhisperFeatureExtractor(feature_size=16, chunk_length=chunk_length),
        tiny_tokenizer(context=context),
        **settings,
    )


def tiny_recognizer() -> SpeechRecognizer:
    """Returns a speech recognizer with a random English-only Whisper of two layers, width 16."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = ("<|endoftext|>", "<|startoftranscript|>", "<|nospeech|>", "<|notimestamps|>")
    vocab = {symbol: index for index, symbol in enumerate([*alphabet, *control])}
    tokenizer = WhisperTokenizer(vocab=vocab, merges=[], extra_special_tokens=list(control[1:]))
    extractor = WhisperFeatureExtractor(feature_size=16)
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(vocab),
        d_model=16,
        num_mel_bins=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_target_positions=32,
        pad_token_id=256,
        bos_token_id=256,
        eos_token_id=256,
        decoder_start_token_id=257,
    )
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        is_multilingual=False,
        no_timestamps_token_id=259,
        decoder_start_token_id=257,
        bos_token_id=256,
        eos_token_id=256,
        pad_token_id=256,
        begin_suppress_tokens=[256],
        max_length=16,
    )
    return SpeechRecognizer(TorchWhisper(model, WhisperProcessor(extractor, tokenizer)))
