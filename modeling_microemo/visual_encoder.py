"""Pictures -> patch features, and the frame Q-Former that reads them together with the frame's time."""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration_microemo import MicroEmoQFormerConfig
from .qformer import QFormerEncoder
from .time_embedding import TimeEmbedding

PICTURES_A_CHUNK = 64  # bounds the activations of a tower; 1800 crops at once would take gigabytes


def encode_pictures(
    tower: PreTrainedModel,
    pixel_values: torch.Tensor,
    *,
    output_attentions: bool | None = None,
    output_hidden_states: bool | None = None,
) -> BaseModelOutput:
    """Runs a vision tower over pictures (M, 3, H, W), a chunk at a time, and returns patch features (M, P, C).

    Convolutional towers give a map (C, h, w), which is flattened row by row; transformers give (P, C) as it is.
    """
    wanted = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
    wanted = {name: True for name, value in wanted.items() if value}
    pixel_values = pixel_values.to(dtype=tower.dtype, device=tower.device)
    chunks = [tower(chunk, return_dict=True, **wanted) for chunk in pixel_values.split(PICTURES_A_CHUNK)]
    features = torch.cat([chunk.last_hidden_state for chunk in chunks])
    if features.ndim == 4:
        features = features.flatten(2).transpose(1, 2)  # (M, C, h, w) -> (M, P, C)
    return BaseModelOutput(
        last_hidden_state=features,
        hidden_states=joined([chunk.get("hidden_states") for chunk in chunks]),
        attentions=joined([chunk.get("attentions") for chunk in chunks]),
    )


def joined(layers_of_chunks: list[tuple[torch.Tensor, ...] | None]) -> tuple[torch.Tensor, ...] | None:
    """The layers' outputs of all chunks, layer by layer."""
    if layers_of_chunks[0] is None:
        return None
    return tuple(torch.cat(layer) for layer in zip(*layers_of_chunks, strict=True))


class FrameQFormer(nn.Module):
    """Reads each frame's patches into Q tokens that know when the frame was taken.

    timestamp "fourier" adds an embedding of the seconds to the queries; "text" lets the queries attend to a tokenised
    sentence ("This frame is sampled at 1.5 second."), as TimeChat does.
    """

    def __init__(self, config: MicroEmoQFormerConfig, *, timestamp: str):
        super().__init__()
        self.config = config
        has_text = timestamp == "text"
        self.queries = nn.Parameter(torch.empty(1, config.num_query_tokens, config.hidden_size))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.encoder = QFormerEncoder(config, has_text=has_text)
        self.time_embedding = None if has_text else TimeEmbedding(config.hidden_size)
        self.word_embedding = (
            nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id) if has_text else None
        )
        self.position_embedding = (
            nn.Embedding(config.max_position_embeddings, config.hidden_size) if has_text else None
        )

    def forward(
        self,
        patches: torch.Tensor,
        *,
        times: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the frames' tokens (M, Q, D) and which of them are real (M, Q) bool.

        Args:
            patches: (M, P, C) of M frames.
            times: (M,) seconds.
            input_ids, attention_mask: (M, L), the time as a sentence; needed when timestamp is "text".
        """
        patches = patches.to(self.queries)  # a frozen tower may live in another precision or place
        queries = self.queries.expand(len(patches), -1, -1)  # (M, Q, D)
        real = torch.ones(queries.shape[:2], dtype=torch.bool, device=patches.device)
        self_mask = None
        if self.word_embedding is None:
            queries = queries + self.time_embedding(times).unsqueeze(1)
        else:
            queries = torch.cat((queries, self._sentence(input_ids)), dim=1)  # (M, Q + L, D)
            sentence_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            real = torch.cat((real, sentence_mask.bool()), dim=1)
            self_mask = real.unsqueeze(1)
        num_queries = self.config.num_query_tokens
        states = self.dropout(self.norm(queries))
        tokens = self.encoder(states, patches, self_mask=self_mask, num_queries=num_queries)
        if self.config.keep_text_tokens:
            return tokens, real
        return tokens[:, :num_queries], real[:, :num_queries]

    def _sentence(self, input_ids: torch.Tensor | None) -> torch.Tensor:
        if input_ids is None:
            raise ValueError('qformer_input_ids must be given: timestamp is "text"')
        limit = self.config.max_position_embeddings
        if input_ids.shape[1] > limit:
            raise ValueError(f"qformer_input_ids has {input_ids.shape[1]} tokens a frame, at most {limit} are allowed")
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        return self.word_embedding(input_ids) + self.position_embedding(positions)
