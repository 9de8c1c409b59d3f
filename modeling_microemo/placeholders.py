"""Placeholder tokens in the prompt: locating them, inserting stream features, and gathering states at them."""

from collections.abc import Sequence

import torch
from torch import nn


def token_mask(
    token_id: int, *, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor, embedding: nn.Module
) -> torch.Tensor:
    """Returns a mask (B, N) bool of a token, located by its id or, without ids, by its embedding (B, N, D)."""
    if input_ids is not None:
        return input_ids == token_id
    token = embedding(torch.tensor(token_id, device=inputs_embeds.device))
    return (inputs_embeds == token.to(inputs_embeds.dtype)).all(-1)


def check_counts(name: str, mask: torch.Tensor, features: Sequence[torch.Tensor] | None) -> None:
    """Raises `ValueError` with both counts unless every clip has as many placeholders as feature tokens.

    The counts are compared per clip, as equal totals could hide a mismatch between clips.
    """
    num_tokens = mask.sum(1).tolist()
    num_features = [0] * len(num_tokens) if features is None else [len(clip) for clip in features]
    if num_tokens != num_features:
        raise ValueError(
            f"{name} placeholders in input_ids and {name} features do not match: "
            f"tokens per clip {num_tokens}, features per clip {num_features}"
        )


def place_features(
    inputs_embeds: torch.Tensor, *, mask: torch.Tensor, features: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Replaces the embeddings (B, N, D) at mask (B, N) by the features (n_b, D) of each clip."""
    flat = torch.cat(list(features)).to(device=inputs_embeds.device, dtype=inputs_embeds.dtype)
    return inputs_embeds.masked_scatter(mask.unsqueeze(-1), flat)


def states_at(states: torch.Tensor, *, mask: torch.Tensor, count: int) -> torch.Tensor:
    """Gathers the states (B, N, D) at mask (B, N) in their order, zero-padded to (B, count, D)."""
    index = mask.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # True first, left to right
    valid = mask.gather(1, index).unsqueeze(-1)
    gathered = states.gather(1, index.unsqueeze(-1).expand(-1, -1, states.shape[-1])) * valid
    return nn.functional.pad(gathered, (0, 0, 0, count - gathered.shape[1]))
