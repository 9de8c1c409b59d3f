"""Where the streams' tokens stand in the text, and what stands at the end of each utterance."""

from collections.abc import Sequence

import torch
from torch import nn


def token_mask(
    token_id: int, *, input_ids: torch.Tensor | None, inputs_embeds: torch.Tensor, embedding: nn.Module
) -> torch.Tensor:
    """(B, N) bool, where a token stands; without ids, where its embedding (B, N, D) does."""
    if input_ids is not None:
        return input_ids == token_id
    token = embedding(torch.tensor(token_id, device=inputs_embeds.device))
    return (inputs_embeds == token.to(inputs_embeds.dtype)).all(-1)


def check_counts(name: str, mask: torch.Tensor, features: Sequence[torch.Tensor] | None) -> None:
    """Raises `ValueError`, with both counts, unless every clip has as many placeholders as feature tokens.

    Counted clip by clip: one clip's surplus must not fill another's want.
    """
    found = mask.sum(1).tolist()
    wanted = [0] * len(found) if features is None else [len(clip) for clip in features]
    if found != wanted:
        raise ValueError(
            f"{name} placeholders in input_ids and {name} features do not match: "
            f"tokens a clip {found}, features a clip {wanted}"
        )


def place_features(
    inputs_embeds: torch.Tensor, *, mask: torch.Tensor, features: Sequence[torch.Tensor]
) -> torch.Tensor:
    """The embeddings (B, N, D) with each clip's features (n_b, D) at the True places of its row of mask (B, N)."""
    joined = torch.cat(list(features)).to(device=inputs_embeds.device, dtype=inputs_embeds.dtype)
    return inputs_embeds.masked_scatter(mask.unsqueeze(-1), joined)


def states_at(states: torch.Tensor, *, mask: torch.Tensor, count: int) -> torch.Tensor:
    """The states (B, N, D) at the True places of mask (B, N), in their order, filled with zeros to (B, count, D)."""
    places = mask.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # True first, left to right
    found = mask.gather(1, places).unsqueeze(-1)
    chosen = states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1])) * found
    return nn.functional.pad(chosen, (0, 0, 0, count - chosen.shape[1]))
