"""Converts a Whisper in the CTranslate2 format, English-only or multilingual, to `WhisperForConditionalGeneration`.

CTranslate2 fuses the projections of an attention block: `linear_0` is (query, key, value) in self-attention; in
cross-attention `linear_0` is the query and `linear_1` is (key, value). Whisper's key projection has no bias, so the
fused bias holds zeros there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from microemo.conversion.mini.ctranslate2_format import CTranslate2Model, read_ctranslate2_model

GELU = 3  # CTranslate2's id of the activation, the only one in Whisper
CHUNK_SECONDS = 30
MAX_INITIAL_TIMESTAMP_INDEX = 50  # as in OpenAI's decoder: the first timestamp is within the first second
# Id of <|endoftext|>, the first special token, in the English-only and in the multilingual vocabulary.
ENGLISH_VOCABULARY, MULTILINGUAL_VOCABULARY = 50_256, 50_257
TASKS = ("transcribe", "translate")
ENDOFTEXT, START = "<|endoftext|>", "<|startoftranscript|>"

LAYER_NORMS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
}
# CTranslate2's linear -> Hugging Face's linears stacked in it
LINEARS = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
OUTSIDE_LAYERS = {
    "encoder/conv1/weight": "model.encoder.conv1.weight",
    "encoder/conv1/bias": "model.encoder.conv1.bias",
    "encoder/conv2/weight": "model.encoder.conv2.weight",
    "encoder/conv2/bias": "model.encoder.conv2.bias",
    "encoder/position_encodings/encodings": "model.encoder.embed_positions.weight",
    "encoder/layer_norm/gamma": "model.encoder.layer_norm.weight",
    "encoder/layer_norm/beta": "model.encoder.layer_norm.bias",
    "decoder/embeddings/weight": "model.decoder.embed_tokens.weight",
    "decoder/position_encodings/encodings": "model.decoder.embed_positions.weight",
    "decoder/layer_norm/gamma": "model.decoder.layer_norm.weight",
    "decoder/layer_norm/beta": "model.decoder.layer_norm.bias",
}


@dataclass(frozen=True)
class ConvertedWhisper:
    """A converted Whisper; `state_dict` is float32 without the tied `proj_out.weight`."""

    config: WhisperConfig
    generation_config: GenerationConfig
    state_dict: dict[str, torch.Tensor]
    processor: WhisperProcessor

    def encoder_state_dict(self) -> dict[str, torch.Tensor]:
        """Returns the keys of `WhisperEncoder`."""
        prefix = "model.encoder."
        return {key.removeprefix(prefix): value for key, value in self.state_dict.items() if key.startswith(prefix)}

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes model, generation settings, tokenizer and feature extractor into `folder`."""
        with torch.device("meta"):
            model = WhisperForConditionalGeneration(self.config)
        model.load_state_dict(self.state_dict | {"proj_out.weight": self.tied_weight()}, strict=True, assign=True)
        model.tie_weights()
        model.generation_config = self.generation_config
        model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def tied_weight(self) -> torch.Tensor:
        """Returns the token embedding, which is tied to the output projection."""
        return self.state_dict["model.decoder.embed_tokens.weight"]


def convert_whisper(folder: str | Path) -> ConvertedWhisper:
    """Converts a folder with CTranslate2's model.bin and config.json, and tokenizer.json.

    Raises:
        ValueError: the model is not a Whisper, or a variable is missing or unexpected.
    """
    folder = Path(folder)
    model = read_ctranslate2_model(folder / "model.bin")
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    processor = convert_processor(
        folder / "tokenizer.json", num_mel_bins=model.variables["encoder/conv1/weight"].shape[1]
    )
    config = convert_config(model, tokenizer=processor.tokenizer)
    return ConvertedWhisper(
        config=config,
        generation_config=convert_generation_config(settings, tokenizer=processor.tokenizer, config=config),
        state_dict=convert_state_dict(model, config=config),
        processor=processor,
    )


def convert_config(model: CTranslate2Model, *, tokenizer: WhisperTokenizer) -> WhisperConfig:
    """Derives all sizes from the shapes of the variables."""
    if model.specification != "WhisperSpec":
        raise ValueError(f"model must be a WhisperSpec, got {model.specification}")
    variables = model.variables
    activation = int(variables["decoder/activation"])
    if activation != GELU:
        raise ValueError(f"decoder/activation must be {GELU} (GELU), got {activation}")
    vocab_size, width = variables["decoder/embeddings/weight"].shape
    end = tokenizer.get_vocab()[ENDOFTEXT]
    return WhisperConfig(
        vocab_size=vocab_size,
        num_mel_bins=variables["encoder/conv1/weight"].shape[1],
        d_model=width,
        encoder_layers=_count_layers(variables, side="encoder"),
        decoder_layers=_count_layers(variables, side="decoder"),
        encoder_attention_heads=int(variables["encoder/num_heads"]),
        decoder_attention_heads=int(variables["decoder/num_heads"]),
        encoder_ffn_dim=variables["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        decoder_ffn_dim=variables["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        max_source_positions=variables["encoder/position_encodings/encodings"].shape[0],
        max_target_positions=variables["decoder/position_encodings/encodings"].shape[0],
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=tokenizer.get_vocab()[START],
        scale_embedding=bool(variables["decoder/scale_embeddings"]),
        begin_suppress_tokens=None,  # set in generation_config.json
        suppress_tokens=None,
        dtype="float32",
    )


def convert_generation_config(
    settings: dict, *, tokenizer: WhisperTokenizer, config: WhisperConfig
) -> GenerationConfig:
    """Returns OpenAI's decoding settings: suppressed tokens, timestamps, alignment heads."""
    vocabulary = tokenizer.get_vocab()
    languages = settings.get("lang_ids") if vocabulary[ENDOFTEXT] == MULTILINGUAL_VOCABULARY else None
    multilingual: dict[str, Any] = {"is_multilingual": languages is not None}
    if languages is not None:
        multilingual["lang_to_id"] = dict(zip(tokenizer.convert_ids_to_tokens(languages), languages, strict=True))
        multilingual["task_to_id"] = {task: vocabulary[f"<|{task}|>"] for task in TASKS}
    return GenerationConfig(
        alignment_heads=settings["alignment_heads"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        suppress_tokens=settings["suppress_ids"],
        bos_token_id=config.decoder_start_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP_INDEX,
        max_length=config.max_target_positions,
        no_timestamps_token_id=vocabulary["<|notimestamps|>"],
        prev_sot_token_id=vocabulary["<|startofprev|>"],
        return_timestamps=False,
        **multilingual,
    )


def convert_processor(tokenizer_file: Path, *, num_mel_bins: int) -> WhisperProcessor:
    """Returns feature extractor and tokenizer, after a check of the special tokens."""
    description = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    specials = [token["content"] for token in sorted(description["added_tokens"], key=lambda token: token["id"])]
    first = min(token["id"] for token in description["added_tokens"])
    if specials[:2] != [ENDOFTEXT, START] or first not in (ENGLISH_VOCABULARY, MULTILINGUAL_VOCABULARY):
        raise ValueError(
            f"{tokenizer_file} must be Whisper's tokenizer, with {ENDOFTEXT} at {ENGLISH_VOCABULARY} (English) or "
            f"{MULTILINGUAL_VOCABULARY} (all languages), got {specials[:1]} at {first}"
        )
    tokenizer = WhisperTokenizer(
        tokenizer_file=str(tokenizer_file),
        pad_token=ENDOFTEXT,
        extra_special_tokens=specials[1:],
        model_max_length=1024,
    )
    extractor = WhisperFeatureExtractor(feature_size=num_mel_bins, chunk_length=CHUNK_SECONDS)
    return WhisperProcessor(feature_extractor=extractor, tokenizer=tokenizer)


def convert_state_dict(model: CTranslate2Model, *, config: WhisperConfig) -> dict[str, torch.Tensor]:
    """Returns every weight under Hugging Face's name as float32. Missing and unexpected variables are errors."""
    remaining = {name: values for name, values in model.variables.items() if values.ndim > 0}
    converted = {new: _tensor(_pop(remaining, old)) for old, new in OUTSIDE_LAYERS.items()}
    for side, layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        for layer in range(layers):
            converted.update(_convert_layer(remaining, side=side, layer=layer))
    if remaining:
        raise ValueError(f"the model has variables that Whisper does not know: {sorted(remaining)}")
    return converted


def _convert_layer(remaining: dict[str, np.ndarray], *, side: str, layer: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the weights of one transformer layer and removes them from `remaining`."""
    old, new = f"{side}/layer_{layer}", f"model.{side}.layers.{layer}"
    names = {name for name in (*LAYER_NORMS, *LINEARS) if side == "decoder" or not name.startswith("attention/")}
    for name in sorted(names & LAYER_NORMS.keys()):
        yield f"{new}.{LAYER_NORMS[name]}.weight", _tensor(_pop(remaining, f"{old}/{name}/gamma"))
        yield f"{new}.{LAYER_NORMS[name]}.bias", _tensor(_pop(remaining, f"{old}/{name}/beta"))
    for name in sorted(names & LINEARS.keys()):
        targets = LINEARS[name]
        weights = np.split(_pop(remaining, f"{old}/{name}/weight"), len(targets))
        biases = np.split(_pop(remaining, f"{old}/{name}/bias"), len(targets))
        for target, weight, bias in zip(targets, weights, biases, strict=True):
            yield f"{new}.{target}.weight", _tensor(weight)
            if not target.endswith("k_proj"):
                yield f"{new}.{target}.bias", _tensor(bias)
            elif bias.any():
                raise ValueError(f"{old}/{name}/bias must be zero for the keys, which have no bias in Whisper")


def _pop(remaining: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in remaining:
        raise ValueError(f"the model lacks the variable {name}")
    values = remaining.pop(name)
    if values.dtype not in (np.float32, np.float16):
        raise ValueError(f"{name} is {values.dtype}; only float16 and float32 files can be converted")
    return values


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _count_layers(variables: dict[str, np.ndarray], *, side: str) -> int:
    return len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and name.count("/") > 2})
