"""Global-local attention: the tokens of each frame attend to the face dynamics around the frame."""

import torch
from torch import nn

from .configuration_microemo import MicroEmoDynamicsConfig, MicroEmoQFormerConfig
from .time_embedding import TimeEmbedding

NO_OWNER = -1


def nearest_frame(
    face_times: torch.Tensor, face_clips: torch.Tensor, *, frame_times: torch.Tensor, frame_mask: torch.Tensor
) -> torch.Tensor:
    """Assigns each crop to one owner: the frame of its clip that is nearest in time, the earlier one on a tie.

        frames   |       |       |
        crops    . . . . . . . . . .
        owner    0 0 0 1 1 1 1 2 2 2

    Args:
        face_times, face_clips: (N,) seconds and clip index of each crop.
        frame_times, frame_mask: (B, T) seconds and bool.

    Returns:
        (N,) long, index of the owner in the flattened (B * T), NO_OWNER if the clip has no frame.
    """
    distance = (face_times.unsqueeze(1) - frame_times[face_clips]).abs()  # (N, T)
    distance = distance.masked_fill(~frame_mask[face_clips], float("inf"))
    owner = face_clips * frame_times.shape[1] + distance.argmin(1)
    return owner.masked_fill(~frame_mask.any(1)[face_clips], NO_OWNER)


class GlobalLocalAttention(nn.Module):
    """Frame tokens attend to the dynamics tokens of the crops that their frame owns.

    Each crop is scored only against the queries of its owner, and the softmax is normalised over all crops of an
    owner. The cost is therefore linear in the number of crops, however unevenly they are distributed. Each crop's time
    is embedded, which provides a finer time resolution than the frames have. The output is scaled by a gate that is
    initialised to zero, so that an untrained branch does not change the frame tokens.
    """

    def __init__(self, config: MicroEmoQFormerConfig, *, dynamics_config: MicroEmoDynamicsConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.time_embedding = TimeEmbedding(dynamics_config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(dynamics_config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(dynamics_config.hidden_size, config.hidden_size)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.gate = nn.Parameter(torch.empty(1))

    def forward(
        self, frame_tokens: torch.Tensor, local_tokens: torch.Tensor, *, times: torch.Tensor, owners: torch.Tensor
    ) -> torch.Tensor:
        """Returns the frame tokens (M, Q, D) plus the attention output over their crops.

        Args:
            frame_tokens: (M, Q, D) of all frames of all clips.
            local_tokens: (N, R, E) of all crops.
            times: (N,) seconds of the crops.
            owners: (N,) long in [0, M), or NO_OWNER.
        """
        local_tokens = local_tokens + self.time_embedding(times).unsqueeze(1)
        owned = owners != NO_OWNER
        local_tokens, owners = local_tokens[owned], owners[owned]
        query = self.q_proj(self.norm(frame_tokens)).unflatten(-1, (self.num_heads, -1))  # (M, Q, H, d)
        key = self.k_proj(local_tokens).unflatten(-1, (self.num_heads, -1))  # (N, R, H, d)
        value = self.v_proj(local_tokens).unflatten(-1, (self.num_heads, -1))
        scores = torch.einsum("nqhd,nrhd->nqhr", query[owners], key).float() * query.shape[-1] ** -0.5
        weights = self._owner_softmax(scores, owners, num_frames=len(frame_tokens)).to(value.dtype)
        parts = torch.einsum("nqhr,nrhd->nqhd", weights, value)  # (N, Q, H, d)
        mixed = torch.zeros_like(query).index_add(0, owners, parts)  # (M, Q, H, d)
        has_crops = torch.zeros(len(frame_tokens), 1, 1, dtype=torch.bool, device=owners.device)
        has_crops[owners] = True
        added = self.o_proj(mixed.flatten(2)) * has_crops  # the mask keeps the bias from frames without crops
        return frame_tokens + self.gate.tanh() * added

    @staticmethod
    def _owner_softmax(scores: torch.Tensor, owners: torch.Tensor, *, num_frames: int) -> torch.Tensor:
        """Softmax of scores (N, Q, H, R) over all regions of all crops with the same owner."""
        peaks = scores.detach().amax(-1)  # (N, Q, H)
        index = owners.view(-1, 1, 1).expand_as(peaks)
        largest = torch.full((num_frames, *peaks.shape[1:]), float("-inf"), device=scores.device)
        largest = largest.scatter_reduce(0, index, peaks, "amax")
        weights = (scores - largest[owners].unsqueeze(-1)).exp()
        total = torch.zeros_like(largest).index_add(0, owners, weights.sum(-1))
        return weights / total[owners].unsqueeze(-1)
