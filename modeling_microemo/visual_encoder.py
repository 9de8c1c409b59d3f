"""Vision tower (images to patch features) and frame Q-Former (patch features and time to frame tokens)."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_MAPPING,
    AutoModel,
    InstructBlipVisionConfig,
    InstructBlipVisionModel,
    PreTrainedConfig,
    PreTrainedModel,
)

from .configuration_microemo import MicroEmoQFormerConfig
from .placement import match_weight
from .qformer import QFormerEncoder
from .time_embedding import TimeEmbedding
from .visual_projection import MultiPerspectiveProjection

# Towers in transformers that AutoModel does not support.
OTHER_TOWERS: dict[type[PreTrainedConfig], Any] = {InstructBlipVisionConfig: InstructBlipVisionModel}
# Limits the memory of activations; 1800 crops at once would take gigabytes. Smaller chunks fit the CPU caches:
# MobileNetV2 on crops of 112 px takes 1.7 times as long in chunks of 64 as in chunks of 16.
IMAGES_PER_CHUNK = 64
IMAGES_PER_CHUNK_ON_CPU = 16


@dataclass(frozen=True)
class ImageFeatures:
    """Patch features (M, P, C) of M images, and the tower's hidden states and attentions if requested."""

    patches: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...] | None
    attentions: tuple[torch.Tensor, ...] | None


def build_tower(config: PreTrainedConfig, *, output_norm_eps: float | None = None) -> PreTrainedModel:
    """Builds the vision tower, without a pooler if possible.

    `output_norm_eps` sets the epsilon of the last norm, for towers with a norm from another model (BLIP-2's
    `ln_vision`). Towers without SDPA support (such as MobileNet) are built with eager attention, so that the whole
    model can be loaded with "sdpa".
    """
    model_class: Any = OTHER_TOWERS.get(type(config)) or MODEL_MAPPING.get(type(config), PreTrainedModel)
    if not model_class._supports_sdpa:
        config._attn_implementation = "eager"
    if type(config) in OTHER_TOWERS:
        tower = OTHER_TOWERS[type(config)]._from_config(config)
    elif "add_pooling_layer" in inspect.signature(model_class).parameters:
        tower = AutoModel.from_config(config, add_pooling_layer=False)
    else:
        tower = AutoModel.from_config(config)
    if output_norm_eps is not None:
        if not hasattr(tower, "post_layernorm"):
            raise ValueError(f"vision_output_norm_eps is set, but a {config.model_type!r} tower has no post_layernorm")
        tower.post_layernorm.eps = output_norm_eps
    return tower


def encode_images(tower: PreTrainedModel, pixel_values: torch.Tensor, *, record: dict[str, bool]) -> ImageFeatures:
    """Runs a vision tower over images (M, 3, H, W), M >= 1, in chunks.

    The feature map (C, h, w) of convolutional towers is flattened row by row to (P, C).

    Args:
        record: additional outputs to return, see `recorded_outputs`.
    """
    pixel_values = match_weight(pixel_values, next(tower.parameters()))
    size = IMAGES_PER_CHUNK
    if pixel_values.device.type == "cpu":
        size, pixel_values = IMAGES_PER_CHUNK_ON_CPU, pixel_values.contiguous(memory_format=torch.channels_last)
    chunks = [tower(chunk, return_dict=True, **record) for chunk in pixel_values.split(size)]
    features = torch.cat([chunk.last_hidden_state for chunk in chunks])
    if features.ndim == 4:
        features = features.flatten(2).transpose(1, 2)  # (M, C, h, w) -> (M, P, C)
    return ImageFeatures(
        patches=features,
        hidden_states=concatenate_layers([chunk.get("hidden_states") for chunk in chunks]),
        attentions=concatenate_layers([chunk.get("attentions") for chunk in chunks]),
    )


def recorded_outputs(kwargs: Mapping[str, Any]) -> dict[str, bool]:
    """Selects output_attentions and output_hidden_states, if True, from the keyword arguments of a call."""
    return {name: True for name in ("output_attentions", "output_hidden_states") if kwargs.get(name)}


def concatenate_layers(chunks: list[tuple[torch.Tensor, ...] | None]) -> tuple[torch.Tensor, ...] | None:
    """Concatenates the layer outputs of all chunks, layer by layer."""
    if chunks[0] is None:
        return None
    return tuple(torch.cat(layer) for layer in zip(*chunks, strict=True))


class SentenceEmbedding(nn.Module):
    """Word and position embeddings of a short sentence."""

    def __init__(self, config: MicroEmoQFormerConfig):
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(M, L) long -> (M, L, D)."""
        length, limit = input_ids.shape[1], self.positions.num_embeddings
        if length > limit:
            raise ValueError(f"qformer_input_ids has {length} tokens per frame, at most {limit} are allowed")
        return self.words(input_ids) + self.positions(torch.arange(length, device=input_ids.device))


class FrameQFormer(nn.Module):
    """Encodes the patches of each frame to Q tokens, conditioned on the time of the frame.

    timestamp "fourier" adds an embedding of the seconds to the queries. With "text" the queries attend to a tokenised
    sentence ("This frame is sampled at 1.5 second."), as in TimeChat. With "none" the time is not used.
    visual_projection: see `MicroEmoConfig`.
    """

    def __init__(self, config: MicroEmoQFormerConfig, *, timestamp: str, visual_projection: str = "none"):
        super().__init__()
        self.config = config
        self.projection: nn.Module | None = None
        if visual_projection == "multi_perspective":
            self.projection = MultiPerspectiveProjection(config)
        has_text = timestamp == "text"
        self.queries = nn.Parameter(torch.empty(1, config.num_query_tokens, config.hidden_size))
        self.timestamp: nn.Module | None = SentenceEmbedding(config) if has_text else None
        if timestamp == "fourier":
            self.timestamp = TimeEmbedding(config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.encoder = QFormerEncoder(config, has_text=has_text)

    def forward(
        self,
        patches: torch.Tensor,
        *,
        times: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the frame tokens (M, Q, D) and their mask (M, Q) bool, False at padding.

        Args:
            patches: (M, P, C) of M frames.
            times: (M,) seconds.
            input_ids, attention_mask: (M, L), the time as a sentence; required if timestamp is "text".
        """
        patches = patches.to(self.queries)  # a frozen tower may have another dtype or device
        if self.projection is not None:
            patches = self.projection(patches)
        queries = self.queries.expand(len(patches), -1, -1)  # (M, Q, D)
        valid = torch.ones(queries.shape[:2], dtype=torch.bool, device=patches.device)
        self_mask = None
        if isinstance(self.timestamp, TimeEmbedding):
            queries = queries + self.timestamp(times).unsqueeze(1)
        elif isinstance(self.timestamp, SentenceEmbedding):
            if input_ids is None or attention_mask is None:
                raise ValueError('timestamp is "text": qformer_input_ids and qformer_attention_mask must be given')
            queries = torch.cat((queries, self.timestamp(input_ids)), dim=1)  # (M, Q + L, D)
            valid = torch.cat((valid, attention_mask.bool()), dim=1)
            self_mask = valid.unsqueeze(1)
        num_queries = self.config.num_query_tokens
        states = self.dropout(self.norm(queries))
        tokens = self.encoder(states, patches, self_mask=self_mask, num_queries=num_queries)
        if self.config.keep_text_tokens:
            return tokens, valid if self.config.mask_text_padding else torch.ones_like(valid)
        return tokens[:, :num_queries], valid[:, :num_queries]
