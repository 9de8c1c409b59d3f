"""Checkpoints in the layout of TimeChat, Video-LLaMA, EVA, InstructBLIP and LLaMA, with random values, of any size."""

from __future__ import annotations

from dataclasses import dataclass

import torch

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the originals; the defaults are those of the published models."""

    vision_width: int = 1408
    vision_mlp: int = 6144
    vision_depth: int = 39
    patches: int = 256
    patch: int = 14
    width: int = 768
    mlp: int = 3072
    qformer_depth: int = 12
    queries: int = 32
    vocabulary: int = 30_523
    positions: int = 512
    frames: int = 96
    audio_width: int = 1024
    audio_queries: int = 8
    audio_positions: int = 8
    llama_width: int = 4096
    llama_mlp: int = 11_008
    llama_depth: int = 32
    llama_vocabulary: int = 32_000
    rank: int = 32


TINY = Sizes(
    vision_width=24,
    vision_mlp=40,
    vision_depth=2,
    patches=16,
    patch=4,
    width=32,
    mlp=37,
    qformer_depth=3,
    queries=4,
    vocabulary=60,
    positions=40,
    frames=12,
    audio_width=16,
    audio_queries=3,
    audio_positions=5,
    llama_width=32,
    llama_mlp=48,
    llama_depth=2,
    llama_vocabulary=259,
    rank=4,
)


def vit_shapes(sizes: Sizes) -> Shapes:
    """eva_vit_g.pth, with an unused last block and the classifier head."""
    width, mlp = sizes.vision_width, sizes.vision_mlp
    shapes: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, sizes.patches + 1, width),
        **linear("patch_embed.proj", (width, 3, sizes.patch, sizes.patch)),
        **norm("norm", width),
        **linear("head", (10, width)),
    }
    for index in range(sizes.vision_depth + 1):
        block = f"blocks.{index}"
        shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        shapes |= {f"{block}.attn.{name}": (width,) for name in ("q_bias", "v_bias")}
        shapes |= {f"{block}.attn.qkv.weight": (3 * width, width)}
        shapes |= linear(f"{block}.attn.proj", (width, width))
        shapes |= linear(f"{block}.mlp.fc1", (mlp, width)) | linear(f"{block}.mlp.fc2", (width, mlp))
    return shapes


def bert_shapes(module: str, sizes: Sizes, *, depth: int, frequency: int, key_width: int, has_text: bool) -> Shapes:
    """A Q-Former; without text it has no word embeddings and no text feed-forward."""
    width, mlp, bert = sizes.width, sizes.mlp, f"{module}.bert"
    shapes: Shapes = {f"{bert}.embeddings.position_ids": (1, sizes.positions)} | norm(
        f"{bert}.embeddings.LayerNorm", width
    )
    if has_text:
        shapes[f"{bert}.embeddings.word_embeddings.weight"] = (sizes.vocabulary, width)
        shapes[f"{bert}.embeddings.position_embeddings.weight"] = (sizes.positions, width)
    for index in range(depth):
        layer = f"{bert}.encoder.layer.{index}"
        shapes |= attention_shapes(f"{layer}.attention", width, key_width=width)
        if index % frequency == 0:
            shapes |= attention_shapes(f"{layer}.crossattention", width, key_width=key_width)
        for suffix in ("", "_query") if has_text else ("_query",):
            shapes |= linear(f"{layer}.intermediate{suffix}.dense", (mlp, width))
            shapes |= linear(f"{layer}.output{suffix}.dense", (width, mlp))
            shapes |= norm(f"{layer}.output{suffix}.LayerNorm", width)
    return shapes


def attention_shapes(name: str, width: int, *, key_width: int) -> Shapes:
    return {
        **linear(f"{name}.self.query", (width, width)),
        **linear(f"{name}.self.key", (width, key_width)),
        **linear(f"{name}.self.value", (width, key_width)),
        **linear(f"{name}.output.dense", (width, width)),
        **norm(f"{name}.output.LayerNorm", width),
    }


def frame_qformer_shapes(sizes: Sizes) -> Shapes:
    return {"query_tokens": (1, sizes.queries, sizes.width)} | bert_shapes(
        "Qformer", sizes, depth=sizes.qformer_depth, frequency=2, key_width=sizes.vision_width, has_text=True
    )


def instructblip_shapes(sizes: Sizes) -> Shapes:
    """instruct_blip_vicuna7b_trimmed.pth."""
    return (
        frame_qformer_shapes(sizes)
        | norm("ln_vision", sizes.vision_width)
        | linear("llm_proj", (sizes.llama_width, sizes.width))
    )


def video_branch_shapes(sizes: Sizes) -> Shapes:
    return {
        "video_query_tokens": (1, sizes.queries, sizes.width),
        "video_frame_position_embedding.weight": (sizes.frames, sizes.width),
        **bert_shapes("video_Qformer", sizes, depth=2, frequency=1, key_width=sizes.width, has_text=False),
        **linear("llama_proj", (sizes.llama_width, sizes.width)),
    }


def timechat_shapes(sizes: Sizes) -> Shapes:
    """timechat_7b.pth."""
    shapes = frame_qformer_shapes(sizes) | video_branch_shapes(sizes)
    for layer in range(sizes.llama_depth):
        for name in "qkvo":
            module = f"llama_model.base_model.model.model.layers.{layer}.self_attn.{name}_proj"
            shapes[f"{module}.lora_A.default.weight"] = (sizes.rank, sizes.llama_width)
            shapes[f"{module}.lora_B.default.weight"] = (sizes.llama_width, sizes.rank)
    return shapes


def audio_branch_shapes(sizes: Sizes) -> Shapes:
    """AL_LLaMA_2_7B_Finetuned.pth, with a buffer of ImageBind."""
    return {
        "audio_query_tokens": (1, sizes.audio_queries, sizes.width),
        "audio_position_embedding.weight": (sizes.audio_positions, sizes.audio_width),
        **bert_shapes("audio_Qformer", sizes, depth=2, frequency=1, key_width=sizes.audio_width, has_text=False),
        **linear("audio_llama_proj", (sizes.llama_width, sizes.width)),
        "audio_encoder.modality_preprocessors.text.mask": (7, 7),
    }


def llama_shapes(sizes: Sizes) -> Shapes:
    """The language model's keys, with the buffers of older files."""
    width, mlp = sizes.llama_width, sizes.llama_mlp
    shapes: Shapes = {
        "model.embed_tokens.weight": (sizes.llama_vocabulary, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (sizes.llama_vocabulary, width),
    }
    for index in range(sizes.llama_depth):
        layer = f"model.layers.{index}"
        shapes |= {f"{layer}.self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj.weight": (mlp, width) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj.weight": (width, mlp)}
        shapes |= {f"{layer}.{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
        shapes |= {f"{layer}.self_attn.rotary_emb.inv_freq": (width // 64 or 1,)}
    return shapes


def linear(name: str, shape: tuple[int, ...]) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def random_tensors(shapes: Shapes, *, seed: int) -> dict[str, torch.Tensor]:
    """Random values large enough that every tensor affects the outputs."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("position_ids"):
            tensors[name] = torch.arange(shape[1])[None]
        elif "norm" in name.lower() and name.endswith("weight"):
            tensors[name] = 1.0 + 0.2 * values
        else:
            tensors[name] = 0.2 * values
    return tensors
