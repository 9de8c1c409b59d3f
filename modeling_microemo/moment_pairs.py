"""Pairs of moments that are looked at from both sides, each worked out once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from .time_band import moments_at


class MomentPairs(NamedTuple):
    """N moments, each compared with L others, in P pairs that stand in a row.

    first, second: (P,) long, first <= second. place: (N, L) long, the pair of a moment and its L-th other. forward:
    (N, L) bool, whether the moment is the first of that pair.
    """

    first: torch.Tensor
    second: torch.Tensor
    place: torch.Tensor
    forward: torch.Tensor


def moment_pairs(times: torch.Tensor, groups: torch.Tensor, *, lags_seconds: Sequence[float]) -> MomentPairs:
    """Each moment of a sequence in `pack_order` with those nearest to so many seconds later (`moments_at`)."""
    count = len(times)
    others = torch.stack([moments_at(times, groups, seconds=lag) for lag in lags_seconds], dim=1)
    moments = torch.arange(count, device=others.device).unsqueeze(1).expand_as(others)
    keys = torch.minimum(moments, others) * count + torch.maximum(moments, others)
    pairs, place = torch.unique(keys, return_inverse=True)
    return MomentPairs(pairs // count, pairs % count, place, moments <= others)
