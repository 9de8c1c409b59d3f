"""Writes CTranslate2's binary format, and converts a Hugging Face Whisper to its variables."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from transformers import WhisperForConditionalGeneration

DTYPE_NUMBERS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def write_ctranslate2_model(
    path: Path,
    variables: dict[str, np.ndarray],
    *,
    aliases: dict[str, str] | None = None,
    specification: str = "WhisperSpec",
    version: int = 6,
) -> None:
    """Writes `variables` in the format of CTranslate2 4."""
    pieces = [struct.pack("<I", version), _string(specification), struct.pack("<II", 3, len(variables))]
    for name, values in variables.items():
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        header = struct.pack("<BI", DTYPE_NUMBERS[values.dtype.name], values.nbytes)
        pieces += [_string(name), shape, header, values.tobytes()]
    pieces.append(struct.pack("<I", len(aliases or {})))
    for alias, name in (aliases or {}).items():
        pieces += [_string(alias), _string(name)]
    path.write_bytes(b"".join(pieces))


def whisper_variables(model: WhisperForConditionalGeneration) -> dict[str, np.ndarray]:
    """Returns the model's weights fused and named as in CTranslate2."""
    weights = {key.removeprefix("model."): value.numpy() for key, value in model.state_dict().items()}
    config = model.config
    variables = {
        "decoder/activation": np.array(3, np.int8),
        "decoder/scale_embeddings": np.array(0, np.int8),
        "decoder/embeddings/weight": weights["decoder.embed_tokens.weight"],
    }
    for name in ("conv1", "conv2"):
        variables |= _affine(weights, old=f"encoder.{name}", new=f"encoder/{name}")
    sides = {"encoder": config.encoder_attention_heads, "decoder": config.decoder_attention_heads}
    for side, heads in sides.items():
        variables[f"{side}/num_heads"] = np.array(heads, np.int16)
        variables[f"{side}/position_encodings/encodings"] = weights[f"{side}.embed_positions.weight"]
        variables |= _norm(weights, old=f"{side}.layer_norm", new=f"{side}/layer_norm")
        for layer in range(getattr(config, f"{side}_layers")):
            variables |= _layer(weights, old=f"{side}.layers.{layer}", new=f"{side}/layer_{layer}")
    return variables


def _layer(weights: dict[str, np.ndarray], *, old: str, new: str) -> dict[str, np.ndarray]:
    variables = _norm(weights, old=f"{old}.self_attn_layer_norm", new=f"{new}/self_attention/layer_norm")
    variables |= _norm(weights, old=f"{old}.final_layer_norm", new=f"{new}/ffn/layer_norm")
    variables |= _fused(weights, old=f"{old}.self_attn", names="qkv", new=f"{new}/self_attention/linear_0")
    variables |= _affine(weights, old=f"{old}.self_attn.out_proj", new=f"{new}/self_attention/linear_1")
    variables |= _affine(weights, old=f"{old}.fc1", new=f"{new}/ffn/linear_0")
    variables |= _affine(weights, old=f"{old}.fc2", new=f"{new}/ffn/linear_1")
    if f"{old}.encoder_attn.q_proj.weight" in weights:
        variables |= _norm(weights, old=f"{old}.encoder_attn_layer_norm", new=f"{new}/attention/layer_norm")
        variables |= _fused(weights, old=f"{old}.encoder_attn", names="q", new=f"{new}/attention/linear_0")
        variables |= _fused(weights, old=f"{old}.encoder_attn", names="kv", new=f"{new}/attention/linear_1")
        variables |= _affine(weights, old=f"{old}.encoder_attn.out_proj", new=f"{new}/attention/linear_2")
    return variables


def _fused(weights: dict[str, np.ndarray], *, old: str, names: str, new: str) -> dict[str, np.ndarray]:
    stacked = [weights[f"{old}.{name}_proj.weight"] for name in names]
    biases = [weights.get(f"{old}.{name}_proj.bias", np.zeros(len(stacked[0]), np.float32)) for name in names]
    return {f"{new}/weight": np.concatenate(stacked), f"{new}/bias": np.concatenate(biases)}


def _affine(weights: dict[str, np.ndarray], *, old: str, new: str) -> dict[str, np.ndarray]:
    return {f"{new}/weight": weights[f"{old}.weight"], f"{new}/bias": weights[f"{old}.bias"]}


def _norm(weights: dict[str, np.ndarray], *, old: str, new: str) -> dict[str, np.ndarray]:
    return {f"{new}/gamma": weights[f"{old}.weight"], f"{new}/beta": weights[f"{old}.bias"]}


def _string(text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("<H", len(data)) + data
