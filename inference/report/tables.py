"""A report as tables: one row for each utterance as CSV, and its values as `data_frames` takes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from microemo.inference.report.face_table import FaceTable
from microemo.inference.report.report import EmotionReport, LabelScore, MicroExpression, UtteranceReport
from microemo.processing.prosody import Prosody

TEXT_COLUMNS = ("source", "speaker", "text", "english", "open_emotions", "description", "evidence")
LABEL_COLUMNS = ("expressions", "emotions", "voice_emotions")
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
    rows = [
        [_cell(name, values[name]) for name in UTTERANCE_COLUMNS]
        for number, utterance in enumerate(report.utterances, start=1)
        for values in (utterance_values(report, utterance, number=number),)
    ]
    return _written(UTTERANCE_COLUMNS, rows)


def to_faces_csv(report: EmotionReport) -> str:
    """One row for each face and moment, with the columns of `FaceTable`; cells as in `to_csv`."""
    table = FaceTable(report)
    rows = [[_text(value) if isinstance(value, str) else value for value in row] for row in table.rows()]
    return _written(table.columns, rows)


def utterance_values(report: EmotionReport, utterance: UtteranceReport, *, number: int) -> dict[str, Any]:
    """The values of an utterance by `UTTERANCE_COLUMNS`: None where not measured, those of `LABEL_COLUMNS` as scores.

    Args:
        number: of the utterance, from 1.
    """
    voice = utterance.voice
    events = utterance.micro_expressions
    return {
        "source": report.source,
        "utterance": number,
        "start_seconds": utterance.start_seconds,
        "end_seconds": utterance.end_seconds,
        "speaker": utterance.speaker,
        "text": utterance.text,
        "language": utterance.language,
        "english": utterance.english,
        "track_id": utterance.track_id,
        "expressions": utterance.expressions,
        "emotions": utterance.emotions,
        "open_emotions": None if utterance.open_emotions is None else "; ".join(utterance.open_emotions),
        "valence": utterance.valence,
        "arousal": utterance.arousal,
        "description": utterance.description,
        "unsupported_sentences": utterance.unsupported_sentences,
        "micro_expressions": None if events is None else ";".join(map(_event_cell, events)),
        "evidence": "; ".join(f"{evidence.kind}: {evidence.text}" for evidence in utterance.evidence),
        "voice_emotions": None if voice is None else voice.emotions,
        **asdict(Prosody() if voice is None else voice.prosody),
    }


def _cell(name: str, value: Any) -> object:
    if name in LABEL_COLUMNS:
        return _label_cell(value)
    return _text(value or "") if name in TEXT_COLUMNS else value


def _event_cell(event: MicroExpression) -> str:
    span = f"{event.onset_seconds}-{event.apex_seconds}-{event.offset_seconds}"
    return ":".join(filter(None, (span, event.expression, str(event.score))))


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
