"""The columns of a corpus: one table of clips with nested utterances and events, whoever wrote it.

The types are those of the dataclasses of `report.py`, so that a report's new field is a new field of the table. Times
are in seconds on the clip's own clock, probabilities lie in [0, 1]; null means "not measured", an empty list "nothing
found". Face curves, thumbnails and timings are not kept: they are large, or differ from run to run.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from microemo.inference.report.report import ClipSummary, Modality, OutputStatus, Seconds, UtteranceReport

PLAIN_TYPES = {str: pa.string(), float: pa.float64(), int: pa.int64(), bool: pa.bool_()}
DONE, ERROR = "done", "error"  # of a clip


@dataclass(frozen=True)
class EventRow:
    """What a face shows between two moments: a micro-expression, or an expression that lasts, neutral among them.

    utterance: number, from 1, of the utterance that the event belongs to; None outside of all. label: the expression;
    None where expressions are untrained. apex_seconds: None for an expression that lasts. score: probability. signs:
    action units or movements.
    """

    kind: Literal["micro_expression", "expression"]
    utterance: int | None
    track_id: int | None
    label: str | None
    start_seconds: Seconds
    apex_seconds: Seconds | None
    end_seconds: Seconds
    score: float | None
    signs: tuple[str, ...]


def arrow_type(kind: Any) -> pa.DataType:
    """The Arrow type of a type hint of a report."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return arrow_type(arguments[0])
    if origin is Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(arrow_type(arguments[0]))
    if origin in (Union, types.UnionType):
        return arrow_type(next(argument for argument in arguments if argument is not types.NoneType))
    if is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return pa.struct([(field.name, arrow_type(hints[field.name])) for field in fields(kind)])
    return PLAIN_TYPES[kind]


UTTERANCE, EVENT = arrow_type(UtteranceReport), arrow_type(EventRow)

# A clip that could not be analysed has its id, path, status, stage (what was done when it failed), error_class and
# message; the others are null. `outputs` is the report's status: which outputs come from trained weights.
CLIPS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        ("stage", pa.string()),
        ("error_class", pa.string()),
        ("message", pa.string()),
        ("fingerprint", pa.string()),
        ("duration_seconds", pa.float64()),
        ("modalities", pa.list_(arrow_type(Modality))),
        ("outputs", arrow_type(OutputStatus)),
        ("warnings", pa.list_(pa.string())),
        ("summary", arrow_type(ClipSummary)),
        ("utterances", pa.list_(UTTERANCE)),
        ("events", pa.list_(EVENT)),
    ]
)
