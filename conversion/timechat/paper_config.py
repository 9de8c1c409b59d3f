"""Configuration, processor and generation settings of a conversion: a preset, fitted to the user's own files."""

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
# Of the positions that frames may have, the share spread over the clip; the rest is for those inside utterances.
SPREAD_SHARE = 1 / 3
FRAMES_PER_UTTERANCE = 2


@dataclass(frozen=True)
class ModelParts:
    """What stands beside the weights."""

    config: MicroEmoConfig
    processor: MicroEmoProcessor
    generation_config: GenerationConfig


def paper_parts(
    preset: str, *, files: OriginalFiles, timestamp_tokenizer: str = "bert", bert: str = BERT
) -> ModelParts:
    """Returns the preset with the language model, the Whisper and the audio queries that the files hold.

    Args:
        preset: One of `microemo.presets.PRESETS`.
        files: The originals; the folders hold configs, tokenizer and feature extractor as well.
        timestamp_tokenizer: "bert" reads the frames' times as TimeChat's inference does, "llama" as its training did.
        bert: Folder or Hub id of BERT's tokenizer.
    """
    if timestamp_tokenizer not in TIMESTAMP_TOKENIZERS:
        raise ValueError(
            f"timestamp_tokenizer is {timestamp_tokenizer!r}, allowed are {', '.join(TIMESTAMP_TOKENIZERS)}"
        )
    original_tokenizer: Any = AutoTokenizer.from_pretrained(files.llama)
    tokenizer = add_special_tokens(original_tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token  # as TimeChat; the id stands in LLaMA's vocabulary already
    _pad(tokenizer, side="left")  # of a batch of questions
    config = fit_config(preset_config(preset), files=files, tokenizer=tokenizer)
    sentences = None
    if config.timestamp == "text":
        sentences = time_tokenizer(original_tokenizer if timestamp_tokenizer == "llama" else bert)
    most = config.video_qformer_config.max_encoder_positions
    processor = timechat_processor(
        tokenizer,
        qformer_tokenizer=sentences,
        feature_extractor=None if files.whisper is None else WhisperFeatureExtractor.from_pretrained(files.whisper),
        num_frames=VIDEO_LLAMA_FRAMES if preset == "video_llama" else most,
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
    """Returns the preset with the numbers of the user's language model, Whisper and audio checkpoint.

    Raises `ValueError` for a Whisper without an audio branch, or an audio branch without a Whisper.
    """
    if preset.use_audio_branch != (files.whisper is not None):
        wanted = "needs a Whisper folder for its audio branch" if preset.use_audio_branch else "has no audio branch"
        raise ValueError(f"the preset {wanted}, whisper is {files.whisper}")
    ids = [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS]
    text = settings_of(files.llama)
    # Some vocabularies have more rows than tokens.
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
    """Returns how the processor reads videos, so that a clip has no more frames than the model has positions."""
    most = config.video_qformer_config.max_encoder_positions
    if config.utterance_mode != "utterance":
        return {"num_frames": most, "min_frames_per_utterance": 0}
    return {"num_frames": max(1, int(most * SPREAD_SHARE)), "min_frames_per_utterance": FRAMES_PER_UTTERANCE}


def settings_of(folder: Path) -> dict[str, Any]:
    """Returns the config of a model's folder without its precision: the converted model has one for all parts."""
    settings = AutoConfig.from_pretrained(folder).to_dict()
    settings.pop("dtype", None)
    return settings


def audio_counts(files: OriginalFiles) -> Mapping[str, int]:
    """Returns how many queries and positions the audio checkpoint has; nothing, where there is none."""
    shapes = {key: tensor.shape for path in files.checkpoints for key, tensor in read_weights(path).items()}
    if "audio_query_tokens" not in shapes:
        return {}
    return {
        "num_query_tokens": shapes["audio_query_tokens"][1],
        "max_encoder_positions": shapes["audio_position_embedding.weight"][0],
    }


def time_tokenizer(source: Any) -> Any:
    """Returns the tokenizer of the frames' times: of this folder or Hub id, or this one, padding on the right."""
    tokenizer = AutoTokenizer.from_pretrained(source) if isinstance(source, (str, Path)) else source
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.unk_token
    _pad(tokenizer, side="right")  # positions count from the sentence's first word
    return tokenizer


def _pad(tokenizer: Any, *, side: str) -> None:
    """Sets the side of the padding, also in what is saved: there a folder that named none would name none again."""
    tokenizer.padding_side = side
    tokenizer.init_kwargs["padding_side"] = side


def timechat_generation(config: MicroEmoConfig, *, pad_token_id: int) -> GenerationConfig:
    """Returns TimeChat's sampling; `do_sample=False` makes it repeatable."""
    return GenerationConfig(
        do_sample=True,
        top_p=0.9,
        temperature=1.0,
        max_new_tokens=300,
        bos_token_id=config.text_config.bos_token_id,
        eos_token_id=config.text_config.eos_token_id,
        pad_token_id=pad_token_id,
    )
