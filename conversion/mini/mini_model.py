"""Builds the model and processor of microemo-mini from its converted parts and a checkpoint."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, PretrainedConfig, PreTrainedTokenizerFast

from microemo import MicroEmoConfig, MicroEmoForConditionalGeneration
from microemo.conversion.mini.convert_ctranslate2_whisper_to_hf import ConvertedWhisper
from microemo.conversion.mini.convert_gguf_to_hf import ConvertedLlama
from microemo.conversion.mini.trained_parts import TrainedCheckpoint, apply_checkpoint
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import SPECIAL_TOKENS
from microemo.processing.video_processing_microemo import MicroEmoVideoProcessor

SEED = 20_260  # of the parts without public weights; a change makes another model
# Parts without public weights, initialised from the seed.
SEEDED_PARTS = (
    "frame_qformer",
    "micro_dynamics",
    "global_local_attention",
    "video_qformer",
    "audio_qformer",
    "video_projector",
    "audio_projector",
    "emotion_head",
    "face_head",
    "voice_head",
)


@dataclass(frozen=True)
class PublicParts:
    """The converted public weights.

    Args:
        speech: the speech recognizer, saved beside the model; its encoder is the audio tower.
        vision_state_dict: has the keys of the model of `vision_config`.
        speaker_state_dict: has the keys of `CAMPlusPlus`.
    """

    language_model: ConvertedLlama
    speech: ConvertedWhisper
    vision_config: PretrainedConfig
    vision_state_dict: dict[str, torch.Tensor]
    speaker_state_dict: dict[str, torch.Tensor]


def build_mini(
    parts: PublicParts, *, checkpoint: TrainedCheckpoint
) -> tuple[MicroEmoForConditionalGeneration, MicroEmoProcessor]:
    """Returns the model in float32 and its processor.

    All parts without public weights are initialised from one seed before the checkpoint is applied, so that the
    initial values of one part do not depend on which other parts the checkpoint has.
    """
    tokenizer = add_special_tokens(parts.language_model.tokenizer)
    config = mini_config(parts, tokenizer=tokenizer, checkpoint=checkpoint)
    model = _seeded_model(config, state_dict=_public_state_dict(parts, vocab_size=config.text_config.vocab_size))
    apply_checkpoint(model, checkpoint=checkpoint)
    model.generation_config = mini_generation_config(config)
    processor = MicroEmoProcessor(
        video_processor=MicroEmoVideoProcessor(),
        feature_extractor=parts.speech.processor.feature_extractor,
        tokenizer=tokenizer,
        timestamp=config.timestamp,
        utterance_mode=config.utterance_mode,
        window_frames=config.window_frames,
        window_stride=config.window_stride,
        video_tokens_per_segment=config.video_qformer_config.num_query_tokens,
        audio_tokens_per_segment=config.audio_qformer_config.num_query_tokens,
        reading_settings=dict(checkpoint.reading_settings),  # as in training
    )
    return model.eval(), processor


def add_special_tokens(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Returns a copy with MicroEmo's placeholder tokens at the end of the vocabulary and without chat template."""
    extended = copy.deepcopy(tokenizer)
    extended.add_special_tokens({"extra_special_tokens": list(SPECIAL_TOKENS)})
    extended.chat_template = None  # that of the processor is used
    return extended


def extend_embedding(weight: torch.Tensor, *, rows: int) -> torch.Tensor:
    """Returns `weight` (V, D) with its mean row appended up to (rows, D).

    The mean row gives new tokens an average logit, so that they are not generated before they are trained.
    """
    if rows < len(weight):
        raise ValueError(f"rows ({rows}) must be at least the {len(weight)} rows that the embedding has")
    return torch.cat([weight, weight.mean(dim=0, keepdim=True).expand(rows - len(weight), -1)])


def mini_config(
    parts: PublicParts, *, tokenizer: PreTrainedTokenizerFast, checkpoint: TrainedCheckpoint
) -> MicroEmoConfig:
    """Returns the config of the converted parts; other values are the defaults of `MicroEmoConfig`."""
    text_config = copy.deepcopy(parts.language_model.config)
    text_config.vocab_size = len(tokenizer)
    video_token_id, audio_token_id, utterance_end_token_id = (tokenizer.vocab[token] for token in SPECIAL_TOKENS)
    return MicroEmoConfig(
        vision_config=copy.deepcopy(parts.vision_config),
        face_config=copy.deepcopy(parts.vision_config),
        audio_config=copy.deepcopy(parts.speech.config),
        text_config=text_config,
        video_token_id=video_token_id,
        audio_token_id=audio_token_id,
        utterance_end_token_id=utterance_end_token_id,
        dynamics_config={"use_mirrored_view": True},
        use_voice_head=True,
        use_evidence_prompt=True,
        trained_parts=list(checkpoint.trained_parts),
        dtype="float32",
    )


def mini_generation_config(config: MicroEmoConfig) -> GenerationConfig:
    """Returns greedy decoding with suppressed placeholder tokens."""
    text = config.text_config
    return GenerationConfig(
        bos_token_id=text.bos_token_id,
        eos_token_id=text.eos_token_id,
        pad_token_id=text.pad_token_id,
        do_sample=False,
        suppress_tokens=[config.video_token_id, config.audio_token_id, config.utterance_end_token_id],
    )


def _public_state_dict(parts: PublicParts, *, vocab_size: int) -> dict[str, torch.Tensor]:
    """Returns the public weights under MicroEmo's names; the face tower starts as a copy of the frame tower."""
    language_model = dict(parts.language_model.state_dict)
    language_model["embed_tokens.weight"] = extend_embedding(language_model["embed_tokens.weight"], rows=vocab_size)
    towers = {
        "frame_tower": parts.vision_state_dict,
        "face_tower": {key: value.clone() for key, value in parts.vision_state_dict.items()},
        "audio_tower": parts.speech.encoder_state_dict(),
        "language_model": language_model,
    }
    return {f"model.{tower}.{key}": value for tower, weights in towers.items() for key, value in weights.items()}


def _seeded_model(config: MicroEmoConfig, *, state_dict: dict[str, torch.Tensor]) -> MicroEmoForConditionalGeneration:
    """Returns a model with `state_dict`; the other weights are initialised by `_init_weights` from the seed.

    Raises:
        ValueError: the converted weights do not match the model exactly.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        # transformers annotates the result as a model, without the loading info.
        loaded: Any = MicroEmoForConditionalGeneration.from_pretrained(
            None, config=config, state_dict=state_dict, dtype=torch.float32, output_loading_info=True
        )
    model, report = loaded
    seeded = tuple(f"model.{part}." for part in SEEDED_PARTS)
    wrong = {
        "not found in the public weights": [key for key in report["missing_keys"] if not key.startswith(seeded)],
        "unknown to the model": list(report["unexpected_keys"]),
        "of another shape": [str(key) for key in report["mismatched_keys"]],
    }
    for reason, keys in wrong.items():
        if keys:
            raise ValueError(f"{len(keys)} weights are {reason}: {sorted(keys)[:5]}")
    return model
