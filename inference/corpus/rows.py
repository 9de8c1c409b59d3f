"""One clip as a row of the table: a report, or what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from microemo.inference.corpus.schema import CLIPS, DONE, ERROR, EventRow
from microemo.inference.report.report import EmotionReport, MicroExpression


def report_row(report: EmotionReport, *, clip_id: int, path: str, fingerprint: str | None = None) -> dict[str, Any]:
    """The row of a clip that was analysed, in terms of JSON.

    Args:
        fingerprint: of the model and the settings, see `settings.row_provenance`.
    """
    return {
        **_identity(clip_id, path=path, fingerprint=fingerprint),
        "status": DONE,
        "duration_seconds": report.duration_seconds,
        "modalities": [asdict(modality) for modality in report.modalities],
        "outputs": asdict(report.status),
        "warnings": list(report.warnings),
        "summary": asdict(report.summary),
        "utterances": [asdict(utterance) for utterance in report.utterances],
        "events": [asdict(event) for event in facial_events(report)],
    }


def error_row(
    *, clip_id: int, path: str, fingerprint: str | None, stage: str, error_class: str, message: str
) -> dict[str, Any]:
    """The row of a clip that could not be analysed. stage: what was being done."""
    return {
        **_identity(clip_id, path=path, fingerprint=fingerprint),
        "status": ERROR,
        "stage": stage,
        "error_class": error_class,
        "message": message,
    }


def _identity(clip_id: int, *, path: str, fingerprint: str | None) -> dict[str, Any]:
    return {**dict.fromkeys(CLIPS.names), "id": clip_id, "path": path, "fingerprint": fingerprint}


def facial_events(report: EmotionReport) -> tuple[EventRow, ...]:
    """What the faces show and when, by onset: each utterance's expressions, and every micro-expression of the clip."""
    events = [*_expressions(report), *_micro_expressions(report)]
    return tuple(sorted(events, key=lambda event: (event.start_seconds, event.end_seconds, event.kind)))


def _expressions(report: EmotionReport) -> Iterator[EventRow]:
    for number, utterance in enumerate(report.utterances, start=1):
        for found in utterance.evidence:
            if found.kind == "face":
                yield EventRow(
                    kind="expression",
                    utterance=number,
                    track_id=utterance.track_id,
                    label=found.label,
                    start_seconds=found.start_seconds,
                    apex_seconds=found.apex_seconds,
                    end_seconds=found.end_seconds,
                    score=found.certainty,
                    signs=found.signs,
                )


def _micro_expressions(report: EmotionReport) -> Iterator[EventRow]:
    for found in report.summary.micro_expressions or ():
        yield EventRow(
            kind="micro_expression",
            utterance=_utterance_of(found, report),
            track_id=found.track_id,
            label=found.expression,
            start_seconds=found.onset_seconds,
            apex_seconds=found.apex_seconds,
            end_seconds=found.offset_seconds,
            score=found.score,
            signs=tuple(unit.label for unit in found.action_units),
        )


def _utterance_of(event: MicroExpression, report: EmotionReport) -> int | None:
    numbered = enumerate(report.utterances, start=1)
    return next((number for number, utterance in numbered if event in (utterance.micro_expressions or ())), None)
