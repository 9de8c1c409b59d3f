"""The utterance-aware Q-Former: the same queries attend to the whole clip and to each of its segments."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoSegmentQFormerConfig
from .qformer import QFormerEncoder


class SegmentQFormer(nn.Module):
    """Encodes one stream of a clip (video or audio) to K tokens per segment.

    An empty segment, such as an utterance between two frames, attends to a learned null key. Other segments do not.
    """

    def __init__(self, config: MicroEmoSegmentQFormerConfig):
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.empty(1, config.num_query_tokens, config.hidden_size))
        self.null_key = nn.Parameter(torch.empty(1, 1, config.encoder_hidden_size))
        self.positions = nn.Embedding(config.max_encoder_positions, config.encoder_hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.encoder = QFormerEncoder(config)

    def forward(self, states: torch.Tensor, *, positions: torch.Tensor, membership: torch.Tensor) -> torch.Tensor:
        """Returns the tokens of every segment, (B, S, K, D).

        Args:
            states: (B, N, E), features of the stream.
            positions: (B, N) long, index of the frame or audio window of each state.
            membership: (B, S, N) bool, True if the state lies in the segment.
        """
        batch_size, num_segments, _ = membership.shape
        states = states.to(self.queries) + self.positions(self._checked(positions))
        states = torch.cat((states, self.null_key.expand(batch_size, -1, -1)), dim=1)  # (B, N + 1, E)
        is_empty = ~membership.any(-1, keepdim=True)
        queries = self.dropout(self.norm(self.queries)).expand(batch_size * num_segments, -1, -1)
        tokens = self.encoder(
            queries,
            states,
            encoder_mask=torch.cat((membership, is_empty), dim=-1),
            num_queries=self.config.num_query_tokens,
        )
        return tokens.unflatten(0, (batch_size, num_segments))

    def _checked(self, positions: torch.Tensor) -> torch.Tensor:
        limit = self.config.max_encoder_positions
        if positions.numel() and (last := int(positions.max())) >= limit:
            raise ValueError(
                f"a clip has {last + 1} frames or audio windows, more than max_encoder_positions ({limit}); "
                "sample fewer frames or shorten the clip"
            )
        return positions
