"""Writes a folder of a tiny model with its processor, for training and commands."""

from __future__ import annotations

from pathlib import Path

from tiny_model import AUDIO_TOKENS, LLAMA, VIDEO_TOKENS, WHISPER, tiny_model
from tiny_processor import VOCAB_SIZE, tiny_processor

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import SPECIAL_TOKENS

AUDIO_WINDOW_SECONDS = 2


def tiny_parts(*, seed: int = 0) -> tuple[MicroEmoForConditionalGeneration, MicroEmoProcessor]:
    """A matching random model and processor with microemo-mini's label sets and no dropout."""
    processor = tiny_processor(
        chunk_length=AUDIO_WINDOW_SECONDS, video_tokens_per_segment=VIDEO_TOKENS, audio_tokens_per_segment=AUDIO_TOKENS
    )
    video, audio, end = processor.tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    labels = MicroEmoConfig()
    model = tiny_model(
        MicroEmoForConditionalGeneration,
        seed=seed,
        audio_config={**WHISPER, "num_mel_bins": 16, "max_source_positions": 50 * AUDIO_WINDOW_SECONDS},
        text_config={
            **LLAMA,
            "vocab_size": VOCAB_SIZE,
            "max_position_embeddings": 4096,
            "bos_token_id": processor.tokenizer.bos_token_id,
            "eos_token_id": processor.tokenizer.eos_token_id,
            "pad_token_id": processor.tokenizer.pad_token_id,
        },
        video_token_id=video,
        audio_token_id=audio,
        utterance_end_token_id=end,
        emotion_id2label=labels.emotion_id2label,
        expression_id2label=labels.expression_id2label,
        action_unit_id2label=labels.action_unit_id2label,
    )
    for part in ("qformer_config", "video_qformer_config", "audio_qformer_config", "dynamics_config"):
        getattr(model.config, part).hidden_dropout_prob = 0.0
        getattr(model.config, part).attention_probs_dropout_prob = 0.0
    return model, processor


def write_tiny_folder(folder: Path, *, seed: int = 0) -> Path:
    """Saves `tiny_parts`."""
    model, processor = tiny_parts(seed=seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
