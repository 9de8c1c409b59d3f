"""Answers from a report, by counting its events, each with its times; and the model's own answer in the same form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from microemo.inference.explanation.time_shift import named_times
from microemo.inference.questions.people import Cast
from microemo.inference.questions.question import Condition, Question, Target, parse_question
from microemo.inference.report.report import EmotionReport
from microemo.inference.report.report_events import UNIT_NAMES, ReportEvent, report_events
from microemo.processing.facial_events import time_weights

Span = tuple[float, float]
FACE_KINDS = ("macro_expression", "micro_expression", "action_unit")
WELL_SEEN = 0.9  # of the time that is asked about; of less, an answer says how much was seen
OLD_REPORT = "or the report is of schema 3.0 (analyse the video again)"
ABSENT = {
    "macro_expression": f"macro-expressions: they are untrained, {OLD_REPORT}",
    "micro_expression": "micro-expressions: they are untrained",
    "action_unit": f"action units: no face was measured, {OLD_REPORT}",
}


@dataclass(frozen=True)
class Answer:
    """value: a count, seconds, True or False, or labels; None where the report cannot tell. spans: the times it rests
    on, in seconds. answered_by: whether code counted the report's events, or the model wrote the text."""

    question: str
    text: str
    value: int | float | bool | str | None
    spans: tuple[Span, ...]
    answered_by: Literal["report", "model"] = "report"
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"({note})" for note in self.notes)])


def answer_question(report: EmotionReport, question: str) -> Answer:
    """The answer by code.

    Raises:
        UnparsedQuestion: a question that code does not understand.
        ValueError: one that the report cannot be asked, as it does not hold such events or several people are meant.
    """
    cast = Cast(report)
    asked = parse_question(question, speakers=cast.names)
    for kind in asked.target.kinds:
        _check_held(report, kind)
    events = report_events(report)
    people = cast.resolve(asked.who, target=asked.target)
    wanted = _chosen(events, asked.target, people)
    notes: tuple[str, ...] = ()
    if asked.condition is not None:
        windows = _windows(asked.condition, asked, events=events, cast=cast, report=report)
        if asked.target.kinds[0] in FACE_KINDS:
            seen, total = _seen_seconds(report, people, windows, cast=cast), _length(windows)
            if total == 0:
                notes = ("what it shall happen in never happens in the report",)
            elif seen == 0:
                text = f"The report cannot tell: no such face was looked at in these {total:.1f} s"
                return Answer(question, text, None, windows, notes=("faces are looked at while they are attended",))
            elif seen < WELL_SEEN * total:
                notes = (f"faces were looked at in {seen:.1f} of these {total:.1f} s",)
        inside = [(event, _common([_span(event)], windows)) for event in wanted]
        wanted = [event for event, common in inside if common]
        spans = tuple(span for _, common in inside for span in common)
    else:
        spans = tuple(_span(event) for event in wanted)
    if asked.ordinal is not None:
        wanted = _nth(wanted, asked.ordinal, question=question)
        spans = tuple(_span(event) for event in wanted)
    if asked.asks == "units":
        wanted = [_with_units(event, events) for event in wanted]
    text, value = _said(asked, wanted, spans=spans)
    shown = _joined(spans) if asked.asks == "duration" else tuple(_span(event) for event in wanted)
    return Answer(question, text, value, shown, notes=notes)


def model_answer(report: EmotionReport, question: str) -> Answer:
    """What the model wrote about `question`: the summary of a report that was made for it."""
    summary = report.summary
    if summary.description is None:
        text = summary.raw_answer or ""
    else:
        text = " ".join(filter(None, [f"{', '.join(summary.open_emotions or ())}.", summary.description]))
    left_out = summary.unsupported_sentences or 0
    notes = (f"{left_out} of its sentences, which nothing found backs, left out",) if left_out else ()
    spans = named_times(text) or ((0.0, report.duration_seconds),)
    return Answer(question, text, text, spans, answered_by="model", notes=notes)


def _check_held(report: EmotionReport, kind: str) -> None:
    held = {
        "macro_expression": report.summary.macro_expressions is not None,
        "micro_expression": report.summary.micro_expressions is not None,
        "action_unit": any(face.action_units is not None for face in report.face_curves),
    }
    if not held.get(kind, True):
        raise ValueError(f"the report holds no {ABSENT[kind]}")


def _chosen(events: Sequence[ReportEvent], target: Target, people: frozenset[str] | None) -> list[ReportEvent]:
    """Events of a target by these people; a movement of several units at once is one event."""
    chosen = [
        event
        for event in events
        if event.kind in target.kinds
        and (not target.labels or event.label in target.labels)
        and (people is None or event.who in people)
    ]
    if len(target.labels) < 2:
        return chosen
    merged: list[ReportEvent] = []
    for event in chosen:
        before = next((other for other in reversed(merged) if other.who == event.who), None)
        if before is None or before.end_seconds < event.start_seconds:
            merged.append(event)
        elif before.end_seconds < event.end_seconds:
            merged[merged.index(before)] = replace(before, end_seconds=event.end_seconds)
    return merged


def _windows(
    condition: Condition, asked: Question, *, events: Sequence[ReportEvent], cast: Cast, report: EmotionReport
) -> tuple[Span, ...]:
    """The times that a condition leaves."""
    if condition.between is not None:
        start, end = condition.between
        if not 0 <= start < end:
            raise ValueError(f"question asks between {start:g} and {end:g} s: the first must be less")
        return ((start, min(end, report.duration_seconds)),) if start < report.duration_seconds else ()
    assert condition.target is not None
    for kind in condition.target.kinds:
        _check_held(report, kind)
    people = cast.resolve_beside(condition.who, target=condition.target, asked=asked)
    found = _chosen(events, condition.target, people)
    if condition.ordinal is not None:
        found = _nth(found, condition.ordinal, question="the condition")
    return _joined([_span(event) for event in found])


def _seen_seconds(
    report: EmotionReport, people: frozenset[str] | None, windows: Sequence[Span], *, cast: Cast
) -> float:
    """For how long of these times the faces asked about were looked at."""
    total = 0.0
    for face in report.face_curves:
        if (people is None or cast.faces[face.track_id] in people) and face.times:
            times = np.asarray(face.times)
            weights = time_weights(times)
            total += sum(float(weights[(times >= start) & (times < end)].sum()) for start, end in windows)
    return min(total, _length(windows))


def _nth(events: Sequence[ReportEvent], ordinal: int, *, question: str) -> list[ReportEvent]:
    if not events or ordinal > len(events) or ordinal == 0:
        which = "last" if ordinal < 0 else f"number {ordinal}"
        raise ValueError(f"{which} is asked for in {question!r}, the report has {len(events)}")
    return [events[ordinal if ordinal < 0 else ordinal - 1]]


def _said(asked: Question, events: Sequence[ReportEvent], *, spans: Sequence[Span]) -> tuple[str, int | float | str]:
    """An answer in words and its value."""
    times = _listed([_span(event) for event in events])
    if asked.asks == "count":
        return f"{len(events)} time{'' if len(events) == 1 else 's'}{times}", len(events)
    if asked.asks == "duration":
        seconds = round(_length(_joined(spans)), 3)
        return f"{seconds:.2f} s{_listed(_joined(spans))}", seconds
    if asked.asks == "whether":
        return ("yes" if events else "no") + times, bool(events)
    if not events:
        return "never", ""
    if asked.asks == "when":
        moments = ", ".join(_moment(event) for event in events)
        return moments, moments
    labels = _unit_labels(events) if asked.asks == "units" else [_named(event) for event in events]
    counts = Counter(labels)
    listed = ", ".join(f"{label} ({count})" if count > 1 else label for label, count in counts.items())
    return (listed or "none known") + times, ", ".join(counts)


def _with_units(event: ReportEvent, events: Sequence[ReportEvent]) -> ReportEvent:
    """An expression with its units: those that the face head names, else those that are strongest while it lasts."""
    if event.kind == "action_unit" or event.action_units:
        return event
    units = [other for other in events if other.kind == "action_unit" and other.track_id == event.track_id]
    inside = [unit.label for unit in units if event.start_seconds <= (unit.apex_seconds or 0.0) <= event.end_seconds]
    return replace(event, action_units=tuple(dict.fromkeys(inside)))


def _unit_labels(events: Sequence[ReportEvent]) -> list[str]:
    return [
        UNIT_NAMES.get(label, label)
        for event in events
        for label in (event.action_units if event.kind != "action_unit" else (event.label,))
    ]


def _moment(event: ReportEvent) -> str:
    apex = "" if event.apex_seconds is None else f" (apex {event.apex_seconds:.2f} s)"
    return f"{event.start_seconds:.2f}-{event.end_seconds:.2f} s{apex}"


def _named(event: ReportEvent) -> str:
    return UNIT_NAMES.get(event.label, event.label) or "unknown"


def _listed(spans: Sequence[Span]) -> str:
    return f": {', '.join(f'{start:.2f}-{end:.2f} s' for start, end in spans)}" if spans else ""


def _span(event: ReportEvent) -> Span:
    return event.start_seconds, event.end_seconds


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same times without overlaps, in order."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def _common(spans: Sequence[Span], windows: Sequence[Span]) -> tuple[Span, ...]:
    """The times that lie in both."""
    pairs = [(max(a, start), min(b, end)) for a, b in spans for start, end in windows]
    return tuple((start, end) for start, end in pairs if start < end)


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)
