"""Q-Former layers: BERT layers with cross-attention to an encoder, as in BLIP-2, InstructBLIP and TimeChat.

Several groups of queries can share one encoder sequence (the segments of a clip). Each group attends within itself and
to its part of the sequence; keys and values are projected once.
"""

from typing import Any

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

from .attention import MultiHeadAttention


class QFormerAttention(nn.Module):
    """Attention, dropout, residual, norm."""

    def __init__(self, config: Any, *, key_size: int | None = None):
        super().__init__()
        self.attention = MultiHeadAttention(config, key_size=key_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return self.norm(states + self.dropout(self.attention(states, keys, mask=mask)))


class QFormerFeedForward(nn.Module):
    """Two linear layers, dropout, residual, norm."""

    def __init__(self, config: Any):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.norm(states + self.dropout(self.output(self.activation(self.dense(states)))))


class QFormerLayer(GradientCheckpointingLayer):
    """Self-attention of queries and text, cross-attention of the queries, separate feed-forwards for both.

    Key for shapes: C clips, S groups per clip, K queries, L text tokens, D width, N encoder positions, E encoder
    width.
    """

    def __init__(self, config: Any, *, index: int, has_text: bool):
        super().__init__()
        self.self_attention = QFormerAttention(config)
        has_cross_attention = index % config.cross_attention_frequency == 0
        self.cross_attention = (
            QFormerAttention(config, key_size=config.encoder_hidden_size) if has_cross_attention else None
        )
        self.feed_forward = QFormerFeedForward(config)
        self.text_feed_forward = QFormerFeedForward(config) if has_text else None

    def forward(
        self,
        states: torch.Tensor,
        encoder_states: torch.Tensor,
        encoder_mask: torch.Tensor | None,
        self_mask: torch.Tensor | None,
        num_queries: int,
    ) -> torch.Tensor:
        """Returns (C * S, K + L, D).

        Args:
            states: (C * S, K + L, D), queries first.
            encoder_states: (C, N, E).
            encoder_mask: (C, S, N) bool, True where a group attends; None: everywhere.
            self_mask: (C * S, 1, K + L) bool, False at padded text.
            num_queries: K.
        """
        states = self.self_attention(states, states, self_mask)
        queries, text = states[:, :num_queries], states[:, num_queries:]
        if self.cross_attention is not None:
            queries = attend_to_encoder(self.cross_attention, queries, encoder_states, encoder_mask)
        queries = self.feed_forward(queries)
        if self.text_feed_forward is None:
            return queries
        return torch.cat((queries, self.text_feed_forward(text)), dim=1)


def attend_to_encoder(
    attention: QFormerAttention,
    queries: torch.Tensor,
    encoder_states: torch.Tensor,
    encoder_mask: torch.Tensor | None,
) -> torch.Tensor:
    """Cross-attention of queries (C * S, K, D). The groups of a clip are concatenated, so keys are projected once."""
    num_clips, num_queries = encoder_states.shape[0], queries.shape[1]
    grouped = queries.reshape(num_clips, -1, queries.shape[-1])  # (C, S * K, D)
    mask = None if encoder_mask is None else encoder_mask.repeat_interleave(num_queries, dim=1)  # (C, S * K, N)
    return attention(grouped, encoder_states, mask).view_as(queries)


class QFormerEncoder(nn.Module):
    """A stack of Q-Former layers."""

    def __init__(self, config: Any, *, has_text: bool = False):
        super().__init__()
        self.layers = nn.ModuleList(
            QFormerLayer(config, index=index, has_text=has_text) for index in range(config.num_hidden_layers)
        )

    def forward(
        self,
        states: torch.Tensor,
        encoder_states: torch.Tensor,
        *,
        encoder_mask: torch.Tensor | None = None,
        self_mask: torch.Tensor | None = None,
        num_queries: int,
    ) -> torch.Tensor:
        """As `QFormerLayer.forward`."""
        for layer in self.layers:
            states = layer(states, encoder_states, encoder_mask, self_mask, num_queries)
        return states
