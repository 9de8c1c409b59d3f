"""What the face head found, said to the language model: expressions and times as tokens of the segment they lie in.

The first tokens of a segment carry, in the place of what the video Q-Former makes of its frames:

    token     0            1 2           3 4            5               6 7          8 ...
    says      macro        onset         offset         micro           apex         nothing
              joy          1 .8 s        3 .1 s         fear            2 .4 s

A language model reads words and digits, so the parts of a token begin as words and digits of its vocabulary where
they are known, and training goes on from there.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .configuration_microemo import FEWEST_READOUT_TOKENS, MicroEmoConfig
from .facial_events import FaceTimeline, FacialEvent, attended, dominant
from .heads import ZeroLinear
from .placement import all_rows
from .segments import Segments

MACRO, ONSET, OFFSET, MICRO, APEX = 0, 1, 3, 5, 6
NO_EXPRESSION, NO_FACE = 0, 1  # rows of `states`

EventValues = tuple[float, np.ndarray, np.ndarray, float, float, float]  # of `SegmentEvents`, without `present`


class SegmentEvents(NamedTuple):
    """One kind of event in every segment, zeros where there is none. present: (B, S) bool. probability: (B, S).
    shares: (B, S, X), how sure each expression is, with the sum 1. units: (B, S, A) action units at the apex. onset,
    apex, offset: (B, S) seconds."""

    present: torch.Tensor
    probability: torch.Tensor
    shares: torch.Tensor
    units: torch.Tensor
    onset: torch.Tensor
    apex: torch.Tensor
    offset: torch.Tensor


class FaceFindings(NamedTuple):
    """What the detector found in every segment. seen: (B, S) bool, whether a face is seen in it."""

    macro: SegmentEvents
    micro: SegmentEvents
    seen: torch.Tensor


class FaceReadout(nn.Module):
    """Facial events -> words and times, each in the place of one of a segment's tokens."""

    def __init__(self, config: MicroEmoConfig):
        super().__init__()
        width, names = config.text_config.hidden_size, config.expression_id2label
        self.num_tokens = config.video_qformer_config.num_query_tokens
        self.expressions = nn.Embedding(len(names), width)
        self.states = nn.Embedding(2, width)
        self.tens, self.seconds, self.tenths = (nn.Embedding(10, width) for _ in range(3))
        self.lasting_units = ZeroLinear(len(config.action_unit_id2label), width, bias=False)
        self.brief_units = ZeroLinear(len(config.action_unit_id2label), width, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: torch.Tensor, *, findings: FaceFindings | None) -> torch.Tensor:
        """The segments' tokens (B, S, K, D), with what is said in the place of those that say something.

        What the token was stays behind a gate that begins at zero. A Q-Former's tokens are several times as long as a
        word's, and beside them, ungated, no word would be heard.

        Args:
            findings: None without any face.
        """
        said = self.nothing_seen(tokens[:, :, 0, 0]) if findings is None else self.said(findings)
        said = said.to(tokens)
        speaks = (said != 0).any(-1, keepdim=True)
        return torch.where(speaks, said + self.gate.to(tokens) * tokens, tokens)

    def said(self, findings: FaceFindings) -> torch.Tensor:
        """What the detector found, (B, S, K, D)."""
        macro, micro, seen = findings.macro, findings.micro, findings.seen
        tokens = torch.cat(
            (
                self._noun(macro, seen=seen, units=self.lasting_units),
                self._time(macro.onset, said=macro.present),
                self._time(macro.offset, said=macro.present),
                self._noun(micro, seen=seen, units=self.brief_units),
                self._time(micro.apex, said=micro.present),
            ),
            dim=2,
        )
        return F.pad(tokens, (0, 0, 0, self.num_tokens - FEWEST_READOUT_TOKENS))

    def nothing_seen(self, segments: torch.Tensor) -> torch.Tensor:
        """(B, S, K, D) of clips without any face; segments: (B, S), for its shape."""
        no_face = all_rows(self.states, device=segments.device)[NO_FACE].expand(*segments.shape, 1, -1)
        silent = torch.zeros_like(no_face)
        silences = silent.expand(-1, -1, MICRO - MACRO - 1, -1)
        after = silent.expand(-1, -1, self.num_tokens - MICRO - 1, -1)
        return torch.cat((no_face, silences, no_face, after), dim=2)

    def _noun(self, events: SegmentEvents, *, seen: torch.Tensor, units: nn.Linear) -> torch.Tensor:
        """(B, S, 1, D): the expression with its action units, or that there is none, or no face."""
        words, states = (all_rows(table, device=seen.device) for table in (self.expressions, self.states))
        said = events.shares.to(words.dtype) @ words + units(events.units.to(words.dtype))  # found in float32
        said = torch.where(events.present.unsqueeze(-1), said, states[NO_EXPRESSION])
        return torch.where(seen.unsqueeze(-1), said, states[NO_FACE]).unsqueeze(2)

    def _time(self, times: torch.Tensor, *, said: torch.Tensor) -> torch.Tensor:
        """(B, S, 2, D): seconds and tenths of (B, S), rounded as answers round them; zeros where nothing is said."""
        tenths = (times.clamp(min=0) * 10).round().long()
        seconds = tenths // 10
        ones = self.seconds(seconds % 10) + self.tens(seconds // 10 % 10)
        return torch.stack((ones, self.tenths(tenths % 10)), dim=2) * said[..., None, None]


def face_findings(
    timelines: Sequence[Sequence[FaceTimeline]], segments: Segments, *, num_expressions: int, num_units: int
) -> FaceFindings:
    """What the detector found in each segment of B clips: the macro-expression that fills most of it, and its surest
    micro-expression.

    In the whole clip they are of everybody who is seen, in any other segment of the person most often seen in it.

    Args:
        timelines: of each clip, one for each of its tracks.
    """
    device, spans, masks = segments.spans.device, segments.spans.tolist(), segments.mask.tolist()
    empty: EventValues = (0.0, np.zeros(num_expressions), np.zeros(num_units), 0.0, 0.0, 0.0)
    found: dict[str, list[list[FacialEvent | None]]] = {"macro": [], "micro": []}
    seen = []
    for clip, clip_spans, mask in zip(timelines, spans, masks, strict=True):
        people = [_people(clip, span) if real else () for span, real in zip(clip_spans, mask, strict=True)]
        segment_people = list(zip(people, clip_spans, strict=True))
        found["macro"].append([dominant(lines, *span) for lines, span in segment_people])
        found["micro"].append(
            [_surest([one for line in lines for one in line.micro_in(*span)]) for lines, span in segment_people]
        )
        seen.append([bool(lines) for lines in people])

    def laid_out(rows: list[list[FacialEvent | None]]) -> SegmentEvents:
        values = [[empty if event is None else _values(event, empty=empty) for event in row] for row in rows]
        columns = ([[entry[place] for entry in row] for row in values] for place in range(len(empty)))
        present = torch.tensor([[event is not None for event in row] for row in rows], device=device)
        tensors = (torch.from_numpy(np.array(column, np.float32)).to(device) for column in columns)
        return SegmentEvents(present, *tensors)

    return FaceFindings(
        macro=laid_out(found["macro"]),
        micro=laid_out(found["micro"]),
        seen=torch.tensor(seen, device=device),
    )


def _people(timelines: Sequence[FaceTimeline], span: Sequence[float]) -> tuple[FaceTimeline, ...]:
    """Whose face a segment is about; () where none is seen in it."""
    start, end = span
    if math.isinf(start) and math.isinf(end):
        return tuple(line for line in timelines if len(line.times))
    person = attended(timelines, start, end)
    return () if person is None else (person,)


def _values(event: FacialEvent, *, empty: EventValues) -> EventValues:
    """An event's row, with the zeros of `empty` for what is untrained."""
    shares = event.shares if len(event.shares) else empty[1]
    units = empty[2] if event.action_units is None else event.action_units
    return event.probability, shares, units, event.onset_seconds, event.apex_seconds, event.offset_seconds


def _surest(events: Sequence[FacialEvent]) -> FacialEvent | None:
    return max(events, key=lambda event: event.probability, default=None)
