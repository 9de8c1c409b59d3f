"""A report as CSV: one row for each utterance, and one row for each face and moment."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, fields

from microemo.inference.report.report import EmotionReport, FaceCurve, LabelScore, MicroExpression, UtteranceReport
from microemo.processing.prosody import Prosody

UTTERANCE_COLUMNS = (
    "source",
    "utterance",
    "start_seconds",
    "end_seconds",
    "speaker",
    "text",
    "language",
    "english",
    "track_id",
    "expressions",
    "emotions",
    "open_emotions",
    "valence",
    "arousal",
    "description",
    "unsupported_sentences",
    "micro_expressions",
    "evidence",
    "voice_emotions",
    *(field.name for field in fields(Prosody)),
)


def to_csv(report: EmotionReport) -> str:
    """One row for each utterance. Lists stand in one cell as "label:probability" joined by semicolons.

    An empty cell means "not measured". Cells of text that a spreadsheet would run as a formula begin with an
    apostrophe.
    """
    rows = [_utterance_row(report, utterance, number) for number, utterance in enumerate(report.utterances, start=1)]
    return _written(UTTERANCE_COLUMNS, rows)


def to_faces_csv(report: EmotionReport) -> str:
    """One row for each face and moment: source, track_id, seconds, each expression's probability, micro_score."""
    labels = list(dict.fromkeys(curve.label for face in report.face_curves for curve in face.expressions or ()))
    rows = [row for face in report.face_curves for row in _face_rows(report, face, labels)]
    return _written(("source", "track_id", "seconds", *labels, "micro_score"), rows)


def _utterance_row(report: EmotionReport, utterance: UtteranceReport, number: int) -> list[object]:
    events = (
        ":".join(filter(None, (_event_span(event), event.expression, str(event.score))))
        for event in utterance.micro_expressions or ()
    )
    return [
        _text(report.source),
        number,
        utterance.start_seconds,
        utterance.end_seconds,
        _text(utterance.speaker or ""),
        _text(utterance.text),
        utterance.language,
        _text(utterance.english or ""),
        utterance.track_id,
        _label_cell(utterance.expressions),
        _label_cell(utterance.emotions),
        _text("; ".join(utterance.open_emotions or ())),
        utterance.valence,
        utterance.arousal,
        _text(utterance.description or ""),
        utterance.unsupported_sentences,
        ";".join(events),
        _text("; ".join(f"{evidence.kind}: {evidence.text}" for evidence in utterance.evidence)),
        _label_cell(None if utterance.voice is None else utterance.voice.emotions),
        *astuple(Prosody() if utterance.voice is None else utterance.voice.prosody),
    ]


def _face_rows(report: EmotionReport, face: FaceCurve, labels: Sequence[str]) -> list[list[object]]:
    curves = {curve.label: curve.probabilities for curve in face.expressions or ()}
    return [
        [
            _text(report.source),
            face.track_id,
            seconds,
            *(curves[label][index] if label in curves else None for label in labels),
            None if face.micro_scores is None else face.micro_scores[index],
        ]
        for index, seconds in enumerate(face.times)
    ]


def _event_span(event: MicroExpression) -> str:
    return f"{event.onset_seconds}-{event.apex_seconds}-{event.offset_seconds}"


def _label_cell(labels: Sequence[LabelScore] | None) -> str:
    return ";".join(f"{label.label}:{label.probability}" for label in labels or ())


def _text(text: str) -> str:
    # A leading dash and blank is how subtitles mark dialogue, and no formula.
    runs_as_formula = text[:1] in tuple("=+@\t\r") or (text[:1] == "-" and text[1:2].strip() != "")
    return f"'{text}" if text and runs_as_formula else text


def _written(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
