"""Banded attention over time, with a cost linear in the number of time steps.

All crops of a batch form one packed sequence, ordered by group (a face track of a clip) and time; each crop is one
time step. The sequence is split into blocks. The keys visible to a block form one range around it, so that each block
needs only a small dense mask:

    packed    a a a a a a a a a b b b b b        a, b: groups
    block           [ q q q ]
    keys        [ k k q q q k k ]                reach 2 on both sides; b is masked for a
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

MIN_BLOCK = 16  # smaller blocks would be many tiny matrix products
# Times are float32 seconds: frames exactly one window apart must be visible despite rounding.
TOLERANCE_SECONDS = 1e-4


@dataclass(frozen=True)
class TimeBand:
    """Visibility in a packed sequence of N time steps, in G blocks of `block` queries and L keys.

    key_index: (G, L) long, the packed position of each key. visible: (G, block, L) bool; each step sees itself, also
    the padding at the end. previous, following: (N,) long, the adjacent steps within the window, or the step itself if
    there is none.
    """

    length: int
    block: int
    key_index: torch.Tensor
    visible: torch.Tensor
    previous: torch.Tensor
    following: torch.Tensor

    def queries(self, states: torch.Tensor) -> torch.Tensor:
        """(N, ...) -> (G, block, ...), zero-padded at the end."""
        missing = len(self.key_index) * self.block - self.length
        padding = states.new_zeros(missing, *states.shape[1:])
        return torch.cat((states, padding)).unflatten(0, (-1, self.block))

    def keys(self, states: torch.Tensor) -> torch.Tensor:
        """(N, ...) -> (G, L, ...)."""
        return states[self.key_index]

    def unblocked(self, states: torch.Tensor) -> torch.Tensor:
        """(G, block, ...) -> (N, ...)."""
        return states.flatten(0, 1)[: self.length]

    def mean(self, states: torch.Tensor) -> torch.Tensor:
        """Returns the mean over the steps visible to each step, (N, ...)."""
        weights = self.visible.to(states.dtype)
        weights = weights / weights.sum(-1, keepdim=True)
        return self.unblocked(weights @ self.keys(states.flatten(1))).view_as(states)


def pack_order(times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Returns the order by group and, within a group, by time, (N,) long."""
    by_time = torch.argsort(times, stable=True)
    return by_time[torch.argsort(groups[by_time], stable=True)]


def time_band(times: torch.Tensor, groups: torch.Tensor, *, window_seconds: float) -> TimeBand:
    """Returns the band of a sequence in `pack_order`.

    Args:
        times: (N,) float seconds, N >= 1. groups: (N,) long; steps of different groups do not see each other.
        window_seconds: attention reach to either side.
    """
    device, length = times.device, len(times)
    window_seconds = window_seconds + TOLERANCE_SECONDS
    reach = farthest_neighbour(times, groups, window_seconds=window_seconds)
    block = max(MIN_BLOCK, reach)
    num_blocks = -(-length // block)

    query_position = torch.arange(num_blocks * block, device=device).view(num_blocks, block, 1)
    offsets = torch.arange(-reach, block + reach, device=device)
    key_position = torch.arange(num_blocks, device=device).view(-1, 1, 1) * block + offsets  # (G, 1, L)
    query_index, key_index = query_position.clamp(max=length - 1), key_position.clamp(0, length - 1)
    near = (times[query_index] - times[key_index]).abs() <= window_seconds
    visible = near & (groups[query_index] == groups[key_index])  # (G, block, L)
    visible = visible & (key_position >= 0) & (key_position < length) | (query_position == key_position)

    index = torch.arange(length, device=device)
    adjacent = (times.diff() <= window_seconds) & (groups.diff() == 0)  # (N - 1,), a step and the next
    edge = adjacent.new_zeros(1)
    previous = index - torch.cat((edge, adjacent)).long()
    following = index + torch.cat((adjacent, edge)).long()
    return TimeBand(length, block, key_index.squeeze(1), visible, previous, following)


def lagged_indices(times: torch.Tensor, groups: torch.Tensor, *, seconds: float) -> torch.Tensor:
    """Returns, for each step of a sequence in `pack_order`, the step of its group nearest to its time plus `seconds`.

    Args:
        seconds: the lag, negative for earlier steps. Beyond the ends of a group its first or last step is used.

    Returns:
        (N,) long.
    """
    offset_times, ranks = _separate_groups(times, groups, gap=abs(seconds))
    target = offset_times + seconds
    after = torch.searchsorted(offset_times, target).clamp(max=len(offset_times) - 1)
    before = (after - 1).clamp(min=0)
    nearest = torch.where((target - offset_times[before]) <= (offset_times[after] - target), before, after)
    first = torch.searchsorted(ranks, ranks)
    last = torch.searchsorted(ranks, ranks, right=True) - 1
    return torch.minimum(torch.maximum(nearest, first), last).to(times.device)


class LaggedPairs(NamedTuple):
    """N time steps, each compared with L others, in P distinct pairs.

    first, second: (P,) long, first <= second. pair: (N, L) long, the pair of a step and its l-th other step.
    is_first: (N, L) bool, whether the step is the first of that pair.
    """

    first: torch.Tensor
    second: torch.Tensor
    pair: torch.Tensor
    is_first: torch.Tensor


def lagged_pairs(times: torch.Tensor, groups: torch.Tensor, *, lags_seconds: Sequence[float]) -> LaggedPairs:
    """Pairs each step of a sequence in `pack_order` with its `lagged_indices`. Each pair is listed once."""
    count = len(times)
    others = torch.stack([lagged_indices(times, groups, seconds=lag) for lag in lags_seconds], dim=1)
    steps = torch.arange(count, device=others.device).unsqueeze(1).expand_as(others)
    keys = torch.minimum(steps, others) * count + torch.maximum(steps, others)
    pairs, pair = torch.unique(keys, return_inverse=True)
    return LaggedPairs(pairs // count, pairs % count, pair, steps <= others)


def farthest_neighbour(times: torch.Tensor, groups: torch.Tensor, *, window_seconds: float) -> int:
    """Returns the largest number of positions between two steps of a group that are within the window."""
    offset_times, _ = _separate_groups(times, groups, gap=window_seconds)
    last = torch.searchsorted(offset_times, offset_times + window_seconds, right=True)
    return int((last - torch.arange(len(offset_times))).max()) - 1


def _separate_groups(times: torch.Tensor, groups: torch.Tensor, *, gap: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Shifts the times so that groups are more than `gap` apart and one sorted search covers all groups.

    Returns:
        The increasing times (N,) float64 and the rank of each step's group (N,) long, both on the CPU.
    """
    times, groups = times.double().cpu(), groups.cpu()  # index arithmetic; some accelerators have no float64
    ranks = torch.unique_consecutive(groups, return_inverse=True)[1]
    spacing = float(times.max() - times.min()) + 2 * gap + 1.0
    return times - times.min() + ranks * spacing, ranks
