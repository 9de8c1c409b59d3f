"""Key rules from TimeChat, Video-LLaMA, InstructBLIP's Q-Former, EVA's ViT and LLaMA to MicroEmo.

All files share the namespace of TimeChat's modules: keys of the ViT get the prefix `visual_encoder.`, those of LLaMA
`llama_model.`, and those of a Whisper that replaces ImageBind `whisper.`.
"""

from __future__ import annotations

from microemo.configuration_microemo import MicroEmoConfig
from microemo.conversion.timechat.key_rules import IgnoreRule, KeyRule
from microemo.conversion.timechat.tensor_parts import (
    FRAME_TABLE,
    LORA_DOWN,
    LORA_UP,
    QUERY_BIAS,
    VALUE_BIAS,
    VOCABULARY,
)

VIT_PREFIX, LLAMA_PREFIX, WHISPER_PREFIX = "visual_encoder.", "llama_model.", "whisper."

_TOWER = "model.frame_tower"
_BLOCK, _LAYER = r"visual_encoder\.blocks\.(\d+)", rf"{_TOWER}.encoder.layers.\1"
VISION_RULES = (
    KeyRule(r"visual_encoder\.cls_token", f"{_TOWER}.embeddings.class_embedding"),
    KeyRule(r"visual_encoder\.pos_embed", f"{_TOWER}.embeddings.position_embedding"),
    KeyRule(r"visual_encoder\.patch_embed\.proj\.(weight|bias)", rf"{_TOWER}.embeddings.patch_embedding.\1"),
    KeyRule(rf"{_BLOCK}\.norm([12])\.(weight|bias)", rf"{_LAYER}.layer_norm\2.\3"),
    KeyRule(rf"{_BLOCK}\.attn\.qkv\.weight", rf"{_LAYER}.self_attn.qkv.weight"),
    KeyRule(rf"{_BLOCK}\.attn\.q_bias", rf"{_LAYER}.self_attn.qkv.bias", QUERY_BIAS),
    KeyRule(rf"{_BLOCK}\.attn\.v_bias", rf"{_LAYER}.self_attn.qkv.bias", VALUE_BIAS),
    KeyRule(rf"{_BLOCK}\.attn\.proj\.(weight|bias)", rf"{_LAYER}.self_attn.projection.\2"),
    KeyRule(rf"{_BLOCK}\.mlp\.(fc[12])\.(weight|bias)", rf"{_LAYER}.mlp.\2.\3"),
    KeyRule(r"ln_vision\.(weight|bias)", rf"{_TOWER}.post_layernorm.\1"),
)


def qformer_rules(module: str, *, part: str) -> tuple[KeyRule, ...]:
    """Returns the rules of a BERT with cross-attention: TimeChat's attribute `module` -> `model.<part>`."""
    layer, ours = rf"{module}\.bert\.encoder\.layer\.(\d+)", rf"model.{part}.encoder.layers.\1"
    rules = [KeyRule(rf"{module}\.bert\.embeddings\.LayerNorm\.(weight|bias)", rf"model.{part}.norm.\1")]
    for theirs, attention in (("attention", "self_attention"), ("crossattention", "cross_attention")):
        projections = (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
        rules += [
            KeyRule(
                rf"{layer}\.{theirs}\.self\.{name}\.(weight|bias)", rf"{ours}.{attention}.attention.{ours_name}.\2"
            )
            for name, ours_name in projections
        ]
        rules += [
            KeyRule(rf"{layer}\.{theirs}\.output\.dense\.(weight|bias)", rf"{ours}.{attention}.attention.o_proj.\2"),
            KeyRule(rf"{layer}\.{theirs}\.output\.LayerNorm\.(weight|bias)", rf"{ours}.{attention}.norm.\2"),
        ]
    for suffix, feed_forward in (("_query", "feed_forward"), ("", "text_feed_forward")):
        rules += [
            KeyRule(rf"{layer}\.intermediate{suffix}\.dense\.(weight|bias)", rf"{ours}.{feed_forward}.dense.\2"),
            KeyRule(rf"{layer}\.output{suffix}\.dense\.(weight|bias)", rf"{ours}.{feed_forward}.output.\2"),
            KeyRule(rf"{layer}\.output{suffix}\.LayerNorm\.(weight|bias)", rf"{ours}.{feed_forward}.norm.\2"),
        ]
    return tuple(rules)


BRIDGE_RULES = (
    KeyRule(r"query_tokens", "model.frame_qformer.queries"),
    KeyRule(
        r"Qformer\.bert\.embeddings\.(word|position)_embeddings\.weight", r"model.frame_qformer.timestamp.\1s.weight"
    ),
    *qformer_rules("Qformer", part="frame_qformer"),
    KeyRule(r"video_query_tokens", "model.video_qformer.queries"),
    KeyRule(r"video_frame_position_embedding\.weight", "model.video_qformer.positions.weight", FRAME_TABLE),
    *qformer_rules("video_Qformer", part="video_qformer"),
    KeyRule(r"llama_proj\.(weight|bias)", r"model.video_projector.\1"),
    KeyRule(r"audio_query_tokens", "model.audio_qformer.queries"),
    KeyRule(r"audio_position_embedding\.weight", "model.audio_qformer.positions.weight"),
    *qformer_rules("audio_Qformer", part="audio_qformer"),
    KeyRule(r"audio_llama_proj\.(weight|bias)", r"model.audio_projector.\1"),
)

# PEFT wraps LLaMA in two modules and names the adapter "default".
_ADAPTED, _PLAIN = r"llama_model\.base_model\.model\.model\.(.+)", r"model.language_model.\1.weight"
LANGUAGE_RULES = (
    KeyRule(rf"{_ADAPTED}\.lora_A\.default\.weight", _PLAIN, LORA_DOWN),
    KeyRule(rf"{_ADAPTED}\.lora_B\.default\.weight", _PLAIN, LORA_UP),
    KeyRule(r"llama_model\.model\.embed_tokens\.weight", "model.language_model.embed_tokens.weight", VOCABULARY),
    KeyRule(r"llama_model\.lm_head\.weight", "lm_head.weight", VOCABULARY),
    KeyRule(r"llama_model\.model\.(layers\..+|norm\.weight)", r"model.language_model.\1"),
)
WHISPER_RULES = (KeyRule(r"whisper\.(?:model\.)?encoder\.(.+)", r"model.audio_tower.\1"),)

KEY_RULES = (*VISION_RULES, *BRIDGE_RULES, *LANGUAGE_RULES, *WHISPER_RULES)

IGNORE_RULES = (
    IgnoreRule(r"(.+\.)?position_ids", "a constant buffer"),
    IgnoreRule(r".+\.rotary_emb\.inv_freq", "computed from the config"),
    IgnoreRule(r"visual_encoder\.(norm|fc_norm|head)\..+", "the ViT's final norm and head, replaced by ln_vision"),
    IgnoreRule(r"Qformer\.cls\..+", "BERT's language head, which TimeChat removes"),
    IgnoreRule(r"(llm|t5|opt)_proj\..+", "the projection to the language model of BLIP-2 or InstructBLIP"),
    IgnoreRule(r"audio_encoder\..+", "ImageBind's buffers; its weights are not in these files"),
    IgnoreRule(r"whisper\.(model\.decoder\..+|decoder\..+|proj_out\.weight)", "Whisper's decoder"),
)


def ignore_rules(config: MicroEmoConfig) -> tuple[IgnoreRule, ...]:
    """Returns `IGNORE_RULES` and the rules for parts that this config does not have."""
    depth = config.vision_config.num_hidden_layers
    rules = [
        *IGNORE_RULES,
        IgnoreRule(rf"visual_encoder\.blocks\.{depth}\..+", "the ViT's last block, unused by BLIP-2"),
    ]
    if config.timestamp != "text":
        reason = "the text branch of the Q-Former, which this model without timestamp text does not use"
        rules += [
            IgnoreRule(r"Qformer\.bert\.embeddings\.(word|position)_embeddings\.weight", reason),
            IgnoreRule(r"Qformer\.bert\.encoder\.layer\.\d+\.(intermediate|output)\..+", reason),
        ]
    if config.tie_word_embeddings:
        rules.append(IgnoreRule(r"llama_model\.lm_head\.weight", "the same tensor as embed_tokens"))
    return tuple(rules)
