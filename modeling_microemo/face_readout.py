"""What the face head found, said to the language model: expressions and times as tokens of the segment they lie in.

The first tokens of a segment carry, in the place of what the video Q-Former makes of its frames:

    token     0            1 2           3 4            5               6 7          8 ...
    says      expression   onset         offset         brief one       its apex     nothing
              joy          1 .8 s        3 .1 s         fear            2 .4 s

A language model reads words and digits, so the parts of a token begin as words and digits of its vocabulary where
they are known, and training goes on from there.

The emotion head is told the same expressions in numbers (`FaceReadout.found`).
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import FEWEST_READOUT_TOKENS, NEUTRAL, MicroEmoConfig
from .heads import ZeroLinear
from .outputs import MicroEmoFaceOutput
from .placement import all_rows

LASTING, ONSET, OFFSET, BRIEF, APEX = 0, 1, 3, 5, 6
NO_EXPRESSION, NO_FACE = 0, 1  # rows of `states`
BESIDE_SECONDS = 0.3  # before and after its apex a brief expression is not there
BESIDE_FLOOR = 0.03  # a rise from nearly nothing to nearly nothing is none
CROPS_AVERAGED = 5  # about what `MicroEventRule` averages over, at 30 crops a second
BRIEF_PROBABILITY = 0.5  # of a micro-expression, from which on one is said
LASTING_PROBABILITY = 0.5  # of expressions that are not neutral, from which on one is said to last
SHORTEST_SECONDS = 0.5  # of a lasting expression; what is over sooner is a micro-expression
EDGE_PROBABILITY = 0.1  # of a lasting expression, down to which it is followed to its onset and offset
HELD_SECONDS = 0.8  # a held expression does not move; where it comes back no later than so, it was there all along


class FoundExpressions(NamedTuple):
    """One kind of expression in every segment. present: (B, S) bool. certainty: (B, S), how sure it is that there is
    one, 1 where it is present. shares: (B, S, X), how sure each expression is, with the sum 1. units: (B, S, A)
    action-unit probabilities. times: (B, S) seconds, a tuple of the kind's times."""

    present: torch.Tensor
    certainty: torch.Tensor
    shares: torch.Tensor
    units: torch.Tensor
    times: tuple[torch.Tensor, ...]


class FaceReadout(nn.Module):
    """Timeline of the face -> words and times, each in the place of one of a segment's tokens."""

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        width, names = config.text_config.hidden_size, config.expression_id2label
        self.num_tokens = config.video_qformer_config.num_query_tokens
        self.neutral = next((index for index, name in names.items() if name == NEUTRAL), None)
        self.expressions = nn.Embedding(len(names), width)
        self.states = nn.Embedding(2, width)
        self.tens, self.seconds, self.tenths = (nn.Embedding(10, width) for _ in range(3))
        self.lasting_units = ZeroLinear(len(config.action_unit_id2label), width, bias=False)
        self.brief_units = ZeroLinear(len(config.action_unit_id2label), width, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(
        self,
        tokens: torch.Tensor,
        *,
        logits: MicroEmoFaceOutput | None,
        times: torch.Tensor | None,
        membership: torch.Tensor | None,
    ) -> torch.Tensor:
        """The segments' tokens (B, S, K, D), with what is said in the place of those that say something.

        What the token was stays behind a gate that begins at zero. A Q-Former's tokens are several times as long as a
        word's, and beside them, ungated, no word would be heard.

        Args:
            logits, times, membership: as in `said`; None without any face.
        """
        if logits is None or times is None or membership is None:
            said = self.nothing_seen(tokens[:, :, 0, 0])
        else:
            said = self.said(logits, times=times, membership=membership)
        said = said.to(tokens)
        speaks = (said != 0).any(-1, keepdim=True)
        return torch.where(speaks, said + self.gate.to(tokens) * tokens, tokens)

    def said(self, logits: MicroEmoFaceOutput, *, times: torch.Tensor, membership: torch.Tensor) -> torch.Tensor:
        """What the face head found, (B, S, K, D).

        Args:
            logits: of F crops, in the order of time.
            times: (B, F) seconds. membership: (B, S, F), the crops that are seen in each segment.
        """
        timeline = FaceTimeline(logits, neutral=self.neutral, seen=membership.any(1))
        seen = membership.any(-1)
        lasting = timeline.lasting(times, membership)
        brief = timeline.brief(times, membership)
        tokens = torch.cat(
            (
                self._noun(lasting, seen=seen, units=self.lasting_units),
                *(self._time(time, said=lasting.present) for time in lasting.times),
                self._noun(brief, seen=seen, units=self.brief_units),
                *(self._time(time, said=brief.present) for time in brief.times),
            ),
            dim=2,
        )
        return F.pad(tokens, (0, 0, 0, self.num_tokens - FEWEST_READOUT_TOKENS))

    def found(self, logits: MicroEmoFaceOutput, *, times: torch.Tensor, membership: torch.Tensor) -> torch.Tensor:
        """What the face head found in numbers, (B, S, 2 X + 1) of 0..1: how sure each expression is of being the
        lasting one of a segment, then of being its brief one, and whether a face is seen in it.

        Unlike in `said`, a flash counts below BRIEF_PROBABILITY too, and is of what comes and goes with it. Arguments
        as `said`.
        """
        timeline = FaceTimeline(logits, neutral=self.neutral, seen=membership.any(1))
        lasting, brief = timeline.lasting(times, membership), timeline.brief(times, membership)
        risen = timeline.risen(times, *brief.times)
        lasts, flashes = (kind.certainty.unsqueeze(-1) for kind in (lasting, brief))
        return torch.cat((lasts * lasting.shares, flashes * risen, membership.any(-1, keepdim=True)), dim=-1)

    def nothing_seen(self, segments: torch.Tensor) -> torch.Tensor:
        """(B, S, K, D) of clips without any face; segments: (B, S), for its shape."""
        no_face = all_rows(self.states, device=segments.device)[NO_FACE].expand(*segments.shape, 1, -1)
        silent = torch.zeros_like(no_face)
        silences = silent.expand(-1, -1, BRIEF - LASTING - 1, -1)
        after = silent.expand(-1, -1, self.num_tokens - BRIEF - 1, -1)
        return torch.cat((no_face, silences, no_face, after), dim=2)

    def _noun(self, found: FoundExpressions, *, seen: torch.Tensor, units: nn.Linear) -> torch.Tensor:
        """(B, S, 1, D): the expression with its action units, or that there is none, or no face."""
        words, states = (all_rows(table, device=seen.device) for table in (self.expressions, self.states))
        said = found.shares.to(words.dtype) @ words + units(found.units.to(words.dtype))  # found in float32
        said = torch.where(found.present.unsqueeze(-1), said, states[NO_EXPRESSION])
        return torch.where(seen.unsqueeze(-1), said, states[NO_FACE]).unsqueeze(2)

    def _time(self, times: torch.Tensor, *, said: torch.Tensor) -> torch.Tensor:
        """(B, S, 2, D): seconds and tenths of (B, S), rounded as answers round them; zeros where nothing is said."""
        tenths = (times.clamp(min=0) * 10).round().long()
        seconds = tenths // 10
        ones = self.seconds(seconds % 10) + self.tens(seconds // 10 % 10)
        return torch.stack((ones, self.tenths(tenths % 10)), dim=2) * said[..., None, None]


class FaceTimeline:
    """Probabilities of every crop, averaged over its neighbours, and the expressions found in them.

    Args:
        logits: of F crops, in the order of time.
        neutral: the number of the expression that is none; None where every one is.
        seen: (B, F) bool, which crops there are.
    """

    def __init__(self, logits: MicroEmoFaceOutput, *, neutral: int | None, seen: torch.Tensor):
        assert logits.micro_logits is not None
        assert logits.expression_logits is not None and logits.action_unit_logits is not None
        self.brief_now = _averaged(logits.micro_logits.float().sigmoid().unsqueeze(-1), seen).squeeze(-1)  # (B, F)
        self.seen = seen
        expressions = logits.expression_logits.float().softmax(-1)
        self.is_one = torch.ones(expressions.shape[-1], dtype=torch.bool, device=expressions.device)
        if neutral is not None:
            self.is_one[neutral] = False
        self.expressions = _averaged(expressions * self.is_one, seen)  # (B, F, X)
        self.units = _averaged(logits.action_unit_logits.float().sigmoid(), seen)  # (B, F, A)

    def brief(self, times: torch.Tensor, membership: torch.Tensor) -> FoundExpressions:
        """The likeliest micro-expression of each segment, by its apex."""
        height, apex = self.brief_now.unsqueeze(1).masked_fill(~membership, -1.0).max(-1)  # (B, S)
        return FoundExpressions(
            present=height >= BRIEF_PROBABILITY,
            certainty=(height / BRIEF_PROBABILITY).clamp(0, 1),
            shares=_shares(_picked(self.expressions, apex)),
            units=_picked(self.units, apex),
            times=(times.gather(1, apex),),
        )

    def risen(self, times: torch.Tensor, apexes: torch.Tensor) -> torch.Tensor:
        """How sure each expression is of coming and going with a flash at apexes (B, S): (B, S, X), with the sum 1.

        A lasting expression, however strong it is, was there before and stays. Of two that rise, the flash is of the
        one that rises more, hence the squares.
        """
        at_apex, before, behind = (
            _picked(self.expressions, self._nearest(apexes + offset, times=times))
            for offset in (0.0, -BESIDE_SECONDS, BESIDE_SECONDS)
        )
        rise = (at_apex + BESIDE_FLOOR) / ((before + behind) / 2 + BESIDE_FLOOR)
        return _shares(rise.square() * self.is_one)

    def _nearest(self, moments: torch.Tensor, *, times: torch.Tensor) -> torch.Tensor:
        """(B, S) long, the crop that is seen nearest to each moment (B, S), of times (B, F)."""
        distances = (times.unsqueeze(1) - moments.unsqueeze(-1)).abs()  # (B, S, F)
        return distances.masked_fill(~self.seen.unsqueeze(1), float("inf")).argmin(-1)

    def lasting(self, times: torch.Tensor, membership: torch.Tensor) -> FoundExpressions:
        """The expression that fills most of each segment, by onset and offset, which may lie outside of it.

        It lasts where it is surely there for long enough; its edges lie where it is faint, beyond pauses in which it
        is held.
        """
        height = self.expressions.sum(-1)  # (B, F)
        lasts = (height >= LASTING_PROBABILITY) & (self.brief_now < BRIEF_PROBABILITY)
        counted = self.expressions * lasts.unsqueeze(-1)
        shares = membership.to(counted.dtype) @ counted  # (B, S, X)
        foremost = shares.argmax(-1)  # (B, S)
        middle = _of(foremost, counted).masked_fill(~membership, -1.0).argmax(-1)  # (B, S)
        surely = (height >= LASTING_PROBABILITY).unsqueeze(1).expand_as(membership)
        start, end = _span(surely, middle, times=times)
        own = _of(foremost, self.expressions) >= EDGE_PROBABILITY
        own = own.scatter(2, middle.unsqueeze(-1), True)
        present = (membership & lasts.unsqueeze(1)).any(-1) & (end - start >= SHORTEST_SECONDS)
        return FoundExpressions(
            present=present,
            certainty=present.to(height.dtype),
            shares=_shares(shares),
            units=_picked(self.units, middle),
            times=_span(_bridged(own, times=times, seconds=HELD_SECONDS), middle, times=times),
        )


def _averaged(values: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Values (B, F, X), averaged over the neighbours that are seen (B, F); zeros where nothing is seen."""
    weights = seen.unsqueeze(1).to(values.dtype)
    sums, counts = (
        F.avg_pool1d(summed, CROPS_AVERAGED, stride=1, padding=CROPS_AVERAGED // 2)
        for summed in (values.mT * weights, weights)
    )
    return (sums / counts.clamp(min=1e-6) * weights).mT


def _of(expressions: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Of values (B, F, X) those of each segment's expression (B, S): (B, S, F)."""
    return values.gather(2, expressions.unsqueeze(1).expand(-1, values.shape[1], -1)).mT


def _picked(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Values (B, F, X) at index (B, S): (B, S, X)."""
    return values.gather(1, index.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def _shares(masses: torch.Tensor) -> torch.Tensor:
    return masses / masses.sum(-1, keepdim=True).clamp(min=1e-6)


def _span(inside: torch.Tensor, middle: torch.Tensor, *, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and last time (B, S) of the run of inside (B, S, F) around each middle (B, S), of times (B, F)."""
    first, last = (places.gather(2, middle.unsqueeze(-1)).squeeze(-1) for places in _runs(inside))
    return times.gather(1, first), times.gather(1, last)


def _bridged(inside: torch.Tensor, *, times: torch.Tensor, seconds: float) -> torch.Tensor:
    """inside (B, S, F), and what lies between two of its moments no farther apart than so, of times (B, F)."""
    times = times.unsqueeze(1).expand_as(inside)
    before = times.masked_fill(~inside, float("-inf")).cummax(-1).values
    behind = times.masked_fill(~inside, float("inf")).flip(-1).cummin(-1).values.flip(-1)
    return inside | (behind - before <= seconds)


def _runs(inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """First and last place of the run of True around each place of inside (..., F); around False: itself."""
    count = inside.shape[-1]
    places = torch.arange(count, device=inside.device).expand_as(inside)
    before = torch.where(inside, -1, places).cummax(-1).values  # the last place outside, up to here
    behind = torch.where(inside, count, places).flip(-1).cummin(-1).values.flip(-1)
    return torch.where(inside, before + 1, places), torch.where(inside, behind - 1, places)
