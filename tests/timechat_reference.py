"""Reference forward of TimeChat and Video-LLaMA on original tensor names, one window at a time."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

Weights = dict[str, torch.Tensor]

VISION_EPS, LN_VISION_EPS, BERT_EPS, LLAMA_EPS = 1e-6, 1e-5, 1e-12, 1e-5
MASKED = -10_000.0  # added to the scores of padding, as in BERT


def linear(weights: Weights, name: str, states: torch.Tensor) -> torch.Tensor:
    return F.linear(states, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


def layer_norm(weights: Weights, name: str, states: torch.Tensor, eps: float) -> torch.Tensor:
    return F.layer_norm(states, states.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)


def softmax_attention(query, key, value, *, heads: int, bias: torch.Tensor | float = 0.0) -> torch.Tensor:
    """query (M, L, D), key and value (M, S, D), bias broadcasts to (M, heads, L, S)."""

    def split(states):
        return states.unflatten(-1, (heads, -1)).transpose(1, 2)

    query, key, value = split(query), split(key), split(value)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)


def vit(weights: Weights, pixels: torch.Tensor, *, depth: int, heads: int, patch: int) -> torch.Tensor:
    """EVA's ViT (keys without prefix): (M, 3, H, W) -> (M, 1 + patches, D), before `ln_vision`."""
    states = F.conv2d(pixels, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=patch)
    states = states.flatten(2).transpose(1, 2)
    states = torch.cat((weights["cls_token"].expand(len(states), -1, -1), states), dim=1) + weights["pos_embed"]
    for index in range(depth):
        block = f"blocks.{index}"
        normed = layer_norm(weights, f"{block}.norm1", states, VISION_EPS)
        q_bias, v_bias = weights[f"{block}.attn.q_bias"], weights[f"{block}.attn.v_bias"]
        bias = torch.cat((q_bias, torch.zeros_like(v_bias), v_bias))
        query, key, value = F.linear(normed, weights[f"{block}.attn.qkv.weight"], bias).chunk(3, dim=-1)
        mixed = softmax_attention(query, key, value, heads=heads)
        states = states + linear(weights, f"{block}.attn.proj", mixed)
        normed = layer_norm(weights, f"{block}.norm2", states, VISION_EPS)
        states = states + linear(weights, f"{block}.mlp.fc2", F.gelu(linear(weights, f"{block}.mlp.fc1", normed)))
    return states


def bert_attention(weights, name, states, keys, *, heads, bias=0.0):
    mixed = softmax_attention(
        linear(weights, f"{name}.self.query", states),
        linear(weights, f"{name}.self.key", keys),
        linear(weights, f"{name}.self.value", keys),
        heads=heads,
        bias=bias,
    )
    return layer_norm(
        weights, f"{name}.output.LayerNorm", states + linear(weights, f"{name}.output.dense", mixed), BERT_EPS
    )


def bert_feed_forward(weights, layer, states, suffix):
    inner = F.gelu(linear(weights, f"{layer}.intermediate{suffix}.dense", states))
    outer = linear(weights, f"{layer}.output{suffix}.dense", inner)
    return layer_norm(weights, f"{layer}.output{suffix}.LayerNorm", states + outer, BERT_EPS)


def qformer(weights: Weights, module: str, queries, encoder_states, *, depth, heads, text_ids=None, text_mask=None):
    """(M, Q, D) queries and (M, L) text -> (M, Q + L, D)."""
    embeddings = f"{module}.bert.embeddings"
    states, num_queries, bias = queries, queries.shape[1], 0.0
    if text_ids is not None:
        words = weights[f"{embeddings}.word_embeddings.weight"][text_ids]
        positions = weights[f"{embeddings}.position_embeddings.weight"][: text_ids.shape[1]]
        states = torch.cat((states, words + positions), dim=1)
        seen = torch.cat((torch.ones(queries.shape[:2], dtype=text_mask.dtype), text_mask), dim=1)
        bias = (1.0 - seen[:, None, None].float()) * MASKED
    states = layer_norm(weights, f"{embeddings}.LayerNorm", states, BERT_EPS)
    for index in range(depth):
        layer = f"{module}.bert.encoder.layer.{index}"
        states = bert_attention(weights, f"{layer}.attention", states, states, heads=heads, bias=bias)
        asking, text = states[:, :num_queries], states[:, num_queries:]
        if f"{layer}.crossattention.self.query.weight" in weights:
            asking = bert_attention(weights, f"{layer}.crossattention", asking, encoder_states, heads=heads)
        states = bert_feed_forward(weights, layer, asking, "_query")
        if text_ids is not None:
            states = torch.cat((states, bert_feed_forward(weights, layer, text, "")), dim=1)
    return states


def frame_states(vit_weights, weights, pixels, *, sizes, vision_heads, heads, text_ids=None, text_mask=None):
    """Frames of one clip (T, 3, H, W) with their sentences (T, L) -> (T, Q + L, D)."""
    patches = vit(vit_weights, pixels, depth=sizes.vision_depth, heads=vision_heads, patch=sizes.patch)
    patches = layer_norm(weights, "ln_vision", patches, LN_VISION_EPS)
    queries = weights["query_tokens"].expand(len(pixels), -1, -1)
    return qformer(
        weights,
        "Qformer",
        queries,
        patches,
        depth=sizes.qformer_depth,
        heads=heads,
        text_ids=text_ids,
        text_mask=text_mask,
    )


def video_tokens(weights: Weights, frames: torch.Tensor, *, window: int, stride: int, heads: int) -> torch.Tensor:
    """Frames (T, Q + L, D) -> (K * windows, D of the language model); window 0: all frames in one."""
    frames = frames + weights["video_frame_position_embedding.weight"][: len(frames), None]
    starts = range(0, len(frames), stride) if window > 0 else [0]
    tokens = []
    for start in starts:
        held = frames[start : start + window] if window > 0 else frames
        queries = weights["video_query_tokens"]
        tokens.append(qformer(weights, "video_Qformer", queries, held.flatten(0, 1)[None], depth=2, heads=heads)[0])
    return linear(weights, "llama_proj", torch.cat(tokens))


def audio_tokens(weights: Weights, clips: torch.Tensor, *, heads: int) -> torch.Tensor:
    """Video-LLaMA's ImageBind vectors of the clips (n, C) -> (K, D of the language model)."""
    clips = clips + weights["audio_position_embedding.weight"][: len(clips)]
    tokens = qformer(weights, "audio_Qformer", weights["audio_query_tokens"], clips[None], depth=2, heads=heads)[0]
    return linear(weights, "audio_llama_proj", tokens)


def llama(weights: Weights, embeddings: torch.Tensor, *, depth, heads, lora: Weights | None = None, lora_scale=1.0):
    """LLaMA on embeddings (1, N, D), LoRA beside the projections -> logits (1, N, V)."""
    length, head_size = embeddings.shape[1], embeddings.shape[-1] // heads
    frequencies = 10_000.0 ** (-torch.arange(0, head_size, 2).float() / head_size)
    angles = torch.arange(length).float()[:, None] * frequencies
    cosine, sine = torch.cat((angles, angles), -1).cos(), torch.cat((angles, angles), -1).sin()
    causal = torch.full((length, length), float("-inf")).triu(1)

    def project(name, states):
        result = F.linear(states, weights[f"model.{name}.weight"])
        prefix = f"llama_model.base_model.model.model.{name}"
        if lora is not None and f"{prefix}.lora_A.default.weight" in lora:
            down, up = lora[f"{prefix}.lora_A.default.weight"], lora[f"{prefix}.lora_B.default.weight"]
            result = result + lora_scale * F.linear(F.linear(states, down), up)
        return result

    def rotate(states):
        states = states.unflatten(-1, (heads, head_size)).transpose(1, 2)
        first, second = states.chunk(2, dim=-1)
        return (states * cosine + torch.cat((-second, first), -1) * sine).transpose(1, 2).flatten(2)

    def rms_norm(name, states):
        scale = torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + LLAMA_EPS)
        return weights[name] * states * scale

    states = embeddings
    for index in range(depth):
        layer = f"layers.{index}"
        normed = rms_norm(f"model.{layer}.input_layernorm.weight", states)
        query, key, value = (project(f"{layer}.self_attn.{name}_proj", normed) for name in "qkv")
        mixed = softmax_attention(rotate(query), rotate(key), value, heads=heads, bias=causal)
        states = states + project(f"{layer}.self_attn.o_proj", mixed)
        normed = rms_norm(f"model.{layer}.post_attention_layernorm.weight", states)
        gate, up = project(f"{layer}.mlp.gate_proj", normed), project(f"{layer}.mlp.up_proj", normed)
        states = states + project(f"{layer}.mlp.down_proj", F.silu(gate) * up)
    return F.linear(rms_norm("model.norm.weight", states), weights["lm_head.weight"])
