"""Config, processor and generation settings of a conversion: a preset, adapted to the user's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, WhisperFeatureExtractor

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.mini.mini_model import add_special_tokens
from microemo.conversion.timechat.convert_timechat_to_hf import OriginalFiles
from microemo.conversion.timechat.weight_files import read_weights
from microemo.presets import preset_config
from microemo.processing.processing_microemo import MicroEmoProcessor
from microemo.processing.prompt_text import SPECIAL_TOKENS
from microemo.processing.timechat_preset import timechat_processor

TIMESTAMP_TOKENIZERS = ("bert", "llama")
BERT = "google-bert/bert-base-uncased"
VIDEO_LLAMA_FRAMES = 8
# Share of the frame positions that are spread over the clip; the others are for frames inside of utterances.
SPREAD_SHARE = 1 / 3
FRAMES_PER_UTTERANCE = 2


@dataclass(frozen=True)
class ModelParts:
    """Config, processor and generation config of a model."""

    config: MicroEmoConfig
    processor: MicroEmoProcessor
    generation_config: GenerationConfig


def paper_parts(
    preset: str, *, files: OriginalFiles, timestamp_tokenizer: str = "bert", bert: str = BERT
) -> ModelParts:
    """Returns the preset with the language model, the Whisper and the audio queries of the files.

    Args:
        preset: One of `microemo.presets.PRESETS`.
        files: The originals; the folders also have configs, tokenizer and feature extractor.
        timestamp_tokenizer: "bert" tokenizes frame times as TimeChat's inference, "llama" as its training.
        bert: Folder or Hub id of BERT's tokenizer.
    """
    if timestamp_tokenizer not in TIMESTAMP_TOKENIZERS:
        raise ValueError(
            f"timestamp_tokenizer is {timestamp_tokenizer!r}, allowed are {', '.join(TIMESTAMP_TOKENIZERS)}"
        )
    original_tokenizer: Any = AutoTokenizer.from_pretrained(files.llama)
    tokenizer = add_special_tokens(original_tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token  # as TimeChat; the id is in LLaMA's vocabulary already
    _set_padding_side(tokenizer, side="left")  # for batched generation
    config = fit_config(preset_config(preset), files=files, tokenizer=tokenizer)
    qformer_tokenizer = None
    if config.timestamp == "text":
        qformer_tokenizer = time_tokenizer(original_tokenizer if timestamp_tokenizer == "llama" else bert)
    max_frames = config.video_qformer_config.max_encoder_positions
    processor = timechat_processor(
        tokenizer,
        qformer_tokenizer=qformer_tokenizer,
        feature_extractor=None if files.whisper is None else WhisperFeatureExtractor.from_pretrained(files.whisper),
        num_frames=VIDEO_LLAMA_FRAMES if preset == "video_llama" else max_frames,
        reading_settings=reading_settings(config),
        timestamp=config.timestamp,
        utterance_mode=config.utterance_mode,
        window_frames=config.window_frames,
        window_stride=config.window_stride,
        video_tokens_per_segment=config.video_qformer_config.num_query_tokens,
        audio_tokens_per_segment=config.audio_qformer_config.num_query_tokens,
    )
    return ModelParts(config, processor, timechat_generation(config, pad_token_id=tokenizer.pad_token_id))


def fit_config(preset: MicroEmoConfig, *, files: OriginalFiles, tokenizer: Any) -> MicroEmoConfig:
    """Returns the preset with the sizes of the user's language model, Whisper and audio checkpoint.

    Raises:
        ValueError: a Whisper is given for a preset without audio branch, or is missing for one with it.
    """
    if preset.use_audio_branch != (files.whisper is not None):
        reason = "needs a Whisper folder for its audio branch" if preset.use_audio_branch else "has no audio branch"
        raise ValueError(f"the preset {reason}, whisper is {files.whisper}")
    ids = [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS]
    text = settings_of(files.llama)
    # Some embeddings have more rows than the vocabulary has tokens.
    text["vocab_size"] = max(text["vocab_size"], max(ids) + 1)
    settings: dict[str, Any] = {
        **preset.to_dict(),
        "text_config": text,
        "video_token_id": ids[0],
        "audio_token_id": ids[1],
        "utterance_end_token_id": ids[2],
    }
    if files.whisper is not None:
        settings["audio_config"] = settings_of(files.whisper)
        settings["audio_qformer_config"] = {**settings["audio_qformer_config"], **audio_counts(files)}
    return MicroEmoConfig(**{key: value for key, value in settings.items() if key != "model_type"})


def reading_settings(config: MicroEmoConfig) -> dict[str, Any]:
    """Returns reading settings with which a clip has no more frames than the model has positions."""
    max_frames = config.video_qformer_config.max_encoder_positions
    if config.utterance_mode != "utterance":
        return {"num_frames": max_frames, "min_frames_per_utterance": 0}
    return {"num_frames": max(1, int(max_frames * SPREAD_SHARE)), "min_frames_per_utterance": FRAMES_PER_UTTERANCE}


def settings_of(folder: Path) -> dict[str, Any]:
    """Returns the config of a model's folder without its dtype, as the converted model has one dtype for all parts."""
    settings = AutoConfig.from_pretrained(folder).to_dict()
    settings.pop("dtype", None)
    return settings


def audio_counts(files: OriginalFiles) -> Mapping[str, int]:
    """Returns the numbers of queries and positions of the audio checkpoint; empty without one."""
    shapes = {key: tensor.shape for path in files.checkpoints for key, tensor in read_weights(path).items()}
    if "audio_query_tokens" not in shapes:
        return {}
    return {
        "num_query_tokens": shapes["audio_query_tokens"][1],
        "max_encoder_positions": shapes["audio_position_embedding.weight"][0],
    }


def time_tokenizer(source: Any) -> Any:
    """Returns the tokenizer of the frame times with right padding. source: a folder, a Hub id, or a tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(source) if isinstance(source, (str, Path)) else source
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    _set_padding_side(tokenizer, side="right")  # positions are counted from the first token
    return tokenizer


def _set_padding_side(tokenizer: Any, *, side: str) -> None:
    """Sets the padding side, also for saving: transformers saves only settings that are in `init_kwargs`."""
    tokenizer.padding_side = side
    tokenizer.init_kwargs["padding_side"] = side


def timechat_generation(config: MicroEmoConfig, *, pad_token_id: int) -> GenerationConfig:
    """Returns TimeChat's sampling settings; `do_sample=False` makes generation deterministic."""
    return GenerationConfig(
        do_sample=True,
        top_p=0.9,
        temperature=1.0,
        max_new_tokens=300,
        bos_token_id=config.text_config.bos_token_id,
        eos_token_id=config.text_config.eos_token_id,
        pad_token_id=pad_token_id,
    )
