"""Attention between moments that are close in time, at a cost that grows with their number and not its square.

All crops of a batch lie in one packed sequence, ordered by group (a clip's person) and time. It is cut into blocks;
the moments that a block's members can see lie in one stretch around it, so that a block needs one small dense mask:

    packed    a a a a a a a a a b b b b b        a, b: groups
    block           [ q q q ]
    stretch     [ k k q q q k k ]                reach 2 on both sides; b's are masked for a's
"""

from dataclasses import dataclass

import torch

SMALLEST_BLOCK = 16  # shorter blocks would make many tiny products
# Times are float32 seconds: frames exactly one window apart must not be told apart by rounding.
TOLERANCE_SECONDS = 1e-4


@dataclass(frozen=True)
class TimeBand:
    """Who sees whom in a packed sequence of N moments, in G blocks of `block` moments and stretches of L.

    key_index: (G, L) long, the packed position of each key. visible: (G, block, L) bool; each moment sees itself, and
    so does the padding behind the last. previous, following: (N,) long, the neighbour on each side within the window,
    or the moment itself where there is none.
    """

    length: int
    block: int
    key_index: torch.Tensor
    visible: torch.Tensor
    previous: torch.Tensor
    following: torch.Tensor

    def queries(self, states: torch.Tensor) -> torch.Tensor:
        """(N, ...) -> (G, block, ...), zeros behind the last."""
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
        """Each moment's average over all that it sees, (N, ...)."""
        weights = self.visible.to(states.dtype)
        weights = weights / weights.sum(-1, keepdim=True)
        return self.unblocked(weights @ self.keys(states.flatten(1))).view_as(states)


def pack_order(times: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """(N,) long, the order by group and, within a group, by time."""
    by_time = torch.argsort(times, stable=True)
    return by_time[torch.argsort(groups[by_time], stable=True)]


def time_band(times: torch.Tensor, groups: torch.Tensor, *, window_seconds: float) -> TimeBand:
    """The band of a sequence that is in `pack_order`.

    Args:
        times: (N,) float seconds, N >= 1. groups: (N,) long; moments of different groups never see each other.
        window_seconds: how far a moment sees to either side.
    """
    device, length = times.device, len(times)
    window_seconds = window_seconds + TOLERANCE_SECONDS
    reach = farthest_neighbour(times, groups, window_seconds=window_seconds)
    block = max(SMALLEST_BLOCK, reach)
    num_blocks = -(-length // block)

    query_position = torch.arange(num_blocks * block, device=device).view(num_blocks, block, 1)
    offsets = torch.arange(-reach, block + reach, device=device)
    key_position = torch.arange(num_blocks, device=device).view(-1, 1, 1) * block + offsets  # (G, 1, L)
    query_index, key_index = query_position.clamp(max=length - 1), key_position.clamp(0, length - 1)
    near = (times[query_index] - times[key_index]).abs() <= window_seconds
    visible = near & (groups[query_index] == groups[key_index])  # (G, block, L)
    visible = visible & (key_position >= 0) & (key_position < length) | (query_position == key_position)

    index = torch.arange(length, device=device)
    joined = (times.diff() <= window_seconds) & (groups.diff() == 0)  # (N - 1,), a moment with the next
    edge = joined.new_zeros(1)
    previous = index - torch.cat((edge, joined)).long()
    following = index + torch.cat((joined, edge)).long()
    return TimeBand(length, block, key_index.squeeze(1), visible, previous, following)


def moments_at(times: torch.Tensor, groups: torch.Tensor, *, seconds: float) -> torch.Tensor:
    """(N,) long: for each moment of a sequence in `pack_order` the one of its group nearest to so many seconds later.

    Args:
        seconds: negative for what was before. At a group's ends, the first or last moment stands for what is missing.
    """
    moments, ranks = _groups_apart(times, groups, gap=abs(seconds))
    wanted = moments + seconds
    after = torch.searchsorted(moments, wanted).clamp(max=len(moments) - 1)
    before = (after - 1).clamp(min=0)
    nearest = torch.where((wanted - moments[before]) <= (moments[after] - wanted), before, after)
    first = torch.searchsorted(ranks, ranks)
    last = torch.searchsorted(ranks, ranks, right=True) - 1
    return torch.minimum(torch.maximum(nearest, first), last).to(times.device)


def farthest_neighbour(times: torch.Tensor, groups: torch.Tensor, *, window_seconds: float) -> int:
    """How many positions away the farthest moment within the window lies, at most."""
    moments, _ = _groups_apart(times, groups, gap=window_seconds)
    last = torch.searchsorted(moments, moments + window_seconds, right=True)
    return int((last - torch.arange(len(moments))).max()) - 1


def _groups_apart(times: torch.Tensor, groups: torch.Tensor, *, gap: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Increasing moments (N,) float64 whose groups lie more than `gap` apart, so that one sorted search does for all,
    and the groups' ranks (N,) long, both on the CPU."""
    times, groups = times.double().cpu(), groups.cpu()  # index arithmetic; some accelerators have no float64
    ranks = torch.unique_consecutive(groups, return_inverse=True)[1]
    spacing = float(times.max() - times.min()) + 2 * gap + 1.0
    return times - times.min() + ranks * spacing, ranks
