"""Everything in a report that has a beginning and an end, as one list of events.

Annotation files, answers to questions and plots read this list, so that they agree on what happened when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from microemo.inference.report.face_table import BLINK, BLINK_INTENSITY, speaker_of_track
from microemo.inference.report.report import ActionUnitCurve, EmotionReport, FaceCurve
from microemo.processing.evidence import MIN_UNIT_INTENSITY
from microemo.processing.facial_actions import FACIAL_ACTIONS
from microemo.processing.facial_events import BLIND_SECONDS, MacroExpressionRule, expression_segments
from microemo.processing.micro_spotting import contiguous_runs, edges

EventKind = Literal["words", "emotion", "macro_expression", "micro_expression", "action_unit"]
KINDS: tuple[EventKind, ...] = get_args(EventKind)

UNIT_NAMES = {unit.label: f"{unit.label} {unit.name}" for unit in FACIAL_ACTIONS}

# A unit acts where it reaches 0.2 above rest, for as long as it stays above what evidence counts as a sign.
UNIT_RULE = MacroExpressionRule(enter=0.2, leave=MIN_UNIT_INTENSITY, pause_seconds=0.2, shortest_seconds=0.0)
BLINK_RULE = MacroExpressionRule(enter=BLINK_INTENSITY, leave=0.2, pause_seconds=0.05, shortest_seconds=0.0)


@dataclass(frozen=True)
class ReportEvent:
    """Something that happened from `start_seconds` to `end_seconds`.

    label: the words, the strongest emotion, the expression ("" where it is not known) or the action unit ("AU12").
    who: the speaker; of a face the name of its speaker, else "face 3". score: a probability, of a unit its highest
    intensity; None for words. action_units: labels of those at the apex.
    """

    kind: EventKind
    label: str
    start_seconds: float
    end_seconds: float
    who: str
    track_id: int | None = None
    apex_seconds: float | None = None
    score: float | None = None
    action_units: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end_seconds - self.start_seconds


def report_events(report: EmotionReport) -> tuple[ReportEvent, ...]:
    """All events of a report in order of time."""
    names = {face.track_id: face_name(report, face.track_id) for face in report.face_curves}
    events = [*_spoken(report)]
    for macro in report.summary.macro_expressions or ():
        span = macro.onset_seconds, macro.offset_seconds
        who, apex = names.get(macro.track_id, ""), macro.apex_seconds
        events.append(
            ReportEvent("macro_expression", macro.expression, *span, who, macro.track_id, apex, macro.probability)
        )
    for micro in report.summary.micro_expressions or ():
        span = micro.onset_seconds, micro.offset_seconds
        who, apex = names.get(micro.track_id, ""), micro.apex_seconds
        units = tuple(unit.label for unit in micro.action_units)
        label = micro.expression or ""
        events.append(ReportEvent("micro_expression", label, *span, who, micro.track_id, apex, micro.score, units))
    for face in report.face_curves:
        events += _unit_events(face, who=names[face.track_id])
    return tuple(sorted(events, key=lambda event: (event.start_seconds, KINDS.index(event.kind), event.label)))


def face_name(report: EmotionReport, track_id: int) -> str:
    """The name of the speaker whose face it is, else "face 3"."""
    return speaker_of_track(report, track_id) or f"face {track_id}"


def _spoken(report: EmotionReport) -> Iterator[ReportEvent]:
    for utterance in report.utterances:
        span = utterance.start_seconds, utterance.end_seconds
        who = utterance.speaker or "speaker"
        if utterance.text.strip():
            yield ReportEvent("words", utterance.text, *span, who, utterance.track_id)
        if utterance.emotions:
            first = utterance.emotions[0]
            yield ReportEvent("emotion", first.label, *span, who, utterance.track_id, score=first.probability)


def _unit_events(face: FaceCurve, *, who: str) -> Iterator[ReportEvent]:
    for unit in face.action_units or ():
        rule = BLINK_RULE if unit.label == BLINK else UNIT_RULE
        for onset, apex, offset, highest in unit_spans(unit, face.times, rule=rule):
            span = round(onset, 3), round(offset, 3)
            yield ReportEvent("action_unit", unit.label, *span, who, face.track_id, round(apex, 3), round(highest, 4))


def unit_spans(
    unit: ActionUnitCurve, times: tuple[float, ...], *, rule: MacroExpressionRule
) -> Iterator[tuple[float, float, float, float]]:
    """Yields onset, apex, offset in seconds and the highest intensity of each time a unit acts.

    Moments at which the face was not measured belong to no time.
    """
    known = np.array([value is not None for value in unit.intensities], dtype=bool)
    moments = np.asarray(times, dtype=np.float64)[known]
    curve = np.array([value for value in unit.intensities if value is not None], dtype=np.float64)
    for run in contiguous_runs(moments, BLIND_SECONDS):
        for first, last in expression_segments(moments, curve, run=run, rule=rule):
            onset, offset = edges(moments, curve, first=first, last=last, run=run, level=rule.leave)
            apex = first + int(np.argmax(curve[first : last + 1]))
            if offset > onset:
                yield onset, float(moments[apex]), offset, float(curve[apex])
