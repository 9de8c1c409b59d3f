"""Converts a Llama in a GGUF file to a transformers config, float32 weights and a tokenizer.

transformers also reads GGUF (`gguf_file=`), and the tests compare both. It is not used here because it parses the file
four times, marks the model as quantized, so that it cannot be saved, and drops the digit splitting of SmolLM's
tokenizer, which changes the tokens of two spaces before a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

OUTSIDE_LAYERS = {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}
IN_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
LAYER_KEY = re.compile(r"blk\.(\d+)\.(.+)")
CONTROL_TOKEN = 3  # token type of special tokens in GGUF
PRE_TOKENIZER = "smollm"  # GPT-2's pre-tokenizer after splitting digits


@dataclass(frozen=True)
class ConvertedLlama:
    """`state_dict` has the keys of `LlamaModel`, float32; the output projection is tied to the embedding."""

    config: LlamaConfig
    state_dict: dict[str, torch.Tensor]
    tokenizer: PreTrainedTokenizerFast


def convert_gguf(path: str | Path) -> ConvertedLlama:
    """Converts a Llama with tied embeddings. Other models and missing or unexpected tensors raise `ValueError`."""
    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    config = convert_config(fields)
    return ConvertedLlama(
        config=config,
        state_dict=convert_state_dict(reader.tensors, config=config),
        tokenizer=convert_tokenizer(fields),
    )


def convert_config(fields: dict[str, Any]) -> LlamaConfig:
    """Returns the config described by the GGUF metadata."""
    architecture = fields.get("general.architecture")
    if architecture != "llama":
        raise ValueError(f"general.architecture must be llama, got {architecture}")
    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=fields["llama.embedding_length"],
        intermediate_size=fields["llama.feed_forward_length"],
        num_hidden_layers=fields["llama.block_count"],
        num_attention_heads=fields["llama.attention.head_count"],
        num_key_value_heads=fields["llama.attention.head_count_kv"],
        max_position_embeddings=fields["llama.context_length"],
        rms_norm_eps=_shortest(fields["llama.attention.layer_norm_rms_epsilon"]),
        rope_parameters={"rope_type": "default", "rope_theta": _shortest(fields["llama.rope.freq_base"])},
        bos_token_id=fields["tokenizer.ggml.bos_token_id"],
        eos_token_id=fields["tokenizer.ggml.eos_token_id"],
        pad_token_id=fields["tokenizer.ggml.padding_token_id"],
        tie_word_embeddings=True,
        dtype="float32",
    )


def convert_state_dict(tensors: list[Any], *, config: LlamaConfig) -> dict[str, torch.Tensor]:
    """Dequantizes every tensor to float32, under the names of `LlamaModel`."""
    query_heads = config.num_attention_heads
    heads = {"attn_q.weight": query_heads, "attn_k.weight": config.num_key_value_heads or query_heads}
    converted = {}
    for tensor in tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        kind = tensor.name.removeprefix("blk.").partition(".")[2]
        if kind in heads:
            values = unpermute_rotary(values, heads=heads[kind])
        converted[rename(tensor.name)] = torch.from_numpy(np.array(values, dtype=np.float32))
    expected = len(OUTSIDE_LAYERS) + config.num_hidden_layers * len(IN_LAYER)
    if len(converted) != expected:
        raise ValueError(f"the file has {len(converted)} tensors, {config.num_hidden_layers} layers need {expected}")
    return converted


def rename(name: str) -> str:
    """Returns the name of a GGUF tensor in `LlamaModel`; raises `ValueError` for an unknown tensor."""
    if name in OUTSIDE_LAYERS:
        return OUTSIDE_LAYERS[name]
    match = LAYER_KEY.fullmatch(name)
    if match is None or match[2] not in IN_LAYER:
        raise ValueError(f"the file has the tensor {name}, which a Llama with tied embeddings does not know")
    return f"layers.{match[1]}.{IN_LAYER[match[2]]}"


def unpermute_rotary(weight: np.ndarray, *, heads: int) -> np.ndarray:
    """Returns `weight` (heads * D, width) with each head's rows in transformers' order.

    llama.cpp rotates adjacent pairs (0 1)(2 3)..., transformers pairs of the two halves (0 D/2)(1 D/2+1)...:

        rows of a head in GGUF   0 D/2  1 D/2+1  2 D/2+2 ...
        rows of a head here      0 1 2 ... D/2 D/2+1 D/2+2 ...
    """
    rows, width = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, width)
    return pairs.swapaxes(1, 2).reshape(rows, width)


def convert_tokenizer(fields: dict[str, Any]) -> PreTrainedTokenizerFast:
    """Returns the byte-level BPE tokenizer with the chat template of the file."""
    model, pre_tokenizer = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    if (model, pre_tokenizer) != ("gpt2", PRE_TOKENIZER):
        raise ValueError(
            f"tokenizer.ggml.model and .pre must be gpt2 and {PRE_TOKENIZER}, got {model} and {pre_tokenizer}"
        )
    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    backend = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == CONTROL_TOKEN]
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=tokens[fields["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[fields["tokenizer.ggml.eos_token_id"]],
        pad_token=tokens[fields["tokenizer.ggml.padding_token_id"]],
        unk_token=tokens[fields["tokenizer.ggml.unknown_token_id"]],
        model_max_length=fields["llama.context_length"],
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",  # for batched generation
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = fields.get("tokenizer.chat_template")
    return tokenizer


def _shortest(value: float) -> float:
    """Returns the shortest decimal of a float32: 1e-5 instead of 9.999999747378752e-06."""
    return float(str(np.float32(value)))
