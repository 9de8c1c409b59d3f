"""Reads the explanation of a report again: the findings it was checked against, and its text before the check."""

from __future__ import annotations

from microemo.inference.report.report import UtteranceReport
from microemo.processing.emotion_parsing import parse_emotions
from microemo.processing.evidence import Evidence


def findings(part: UtteranceReport) -> tuple[Evidence, ...]:
    """Returns an utterance's findings from the evidence of its report, seconds on the video's clock."""
    return tuple(
        Evidence(
            entry.kind,
            entry.label,
            entry.start_seconds,
            entry.end_seconds,
            certainty=entry.certainty,
            apex_seconds=entry.apex_seconds,
            signs=entry.signs,
            pitch_semitones=entry.pitch_semitones,
        )
        for entry in part.evidence
    )


def raw_description(part: UtteranceReport) -> str:
    """Returns the description as it was generated, before the check; "" where there is none, or none that parses."""
    return parse_emotions(part.raw_answer or "").description
