"""A report as plain text for a terminal: one block for each utterance, as wide as asked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from microemo.inference.report.report import (
    ClipSummary,
    EmotionReport,
    LabelScore,
    MicroExpression,
    OutputStatus,
    UtteranceReport,
    VoiceReport,
)

DEFAULT_WIDTH = 100
NARROWEST = 40
SHOWN_LABELS = 3
SHOWN_PROBABILITY = 0.1
INDENT = "    "

STATUS_NAMES = {
    "face_expressions": "face expressions",
    "micro_expressions": "micro-expressions",
    "voice": "emotions of the voice",
    "emotions": "emotions",
    "explanations": "explanations",
}


def format_timeline(report: EmotionReport, *, width: int = DEFAULT_WIDTH) -> str:
    """The timeline of `report`, no line wider than `width` columns (at least 40).

    Words of a transcript are untrusted: control characters, which could steer a terminal, are shown as blanks.
    """
    width = max(width, NARROWEST)
    lines = [*_header(report, width=width), ""]
    for number, utterance in enumerate(report.utterances, start=1):
        lines += [*_utterance(utterance, number=number, width=width), ""]
    lines += _summary(report.summary, width=width)
    return "\n".join(lines).rstrip() + "\n"


def format_labels(labels: Sequence[LabelScore] | None, *, count: int = SHOWN_LABELS) -> str:
    """The strongest labels with their probabilities, such as "happiness 0.81, surprise 0.12"; "" for None.

    The first is always named, the others from a probability of 0.1.
    """
    shown = [label for index, label in enumerate(labels or ()) if index == 0 or label.probability >= SHOWN_PROBABILITY]
    return ", ".join(f"{label.label} {label.probability:.2f}" for label in shown[:count])


def format_span(start_seconds: float, end_seconds: float) -> str:
    """Such as "0.4-2.9 s", or "1:02:03.4-1:02:05.0" from the first hour's second minute on."""
    if end_seconds < 60:
        return f"{start_seconds:.1f}-{end_seconds:.1f} s"
    return f"{_clock(start_seconds)}-{_clock(end_seconds)}"


def format_micro_expression(event: MicroExpression) -> str:
    """Such as "1.20-1.40 s, apex 1.28 s, happiness, score 0.83, AU12 0.90"."""
    times = f"{event.onset_seconds:.2f}-{event.offset_seconds:.2f} s, apex {event.apex_seconds:.2f} s"
    known = [event.expression, f"score {event.score:.2f}", format_labels(event.action_units)]
    return ", ".join([times, *filter(None, known)])


def format_voice(voice: VoiceReport) -> str:
    """Such as "neutral 0.81, calm 0.12; pitch 118 Hz, +1.2 semitones, range 4.8; 4.9 syllables/s"; "" for nothing."""
    prosody = voice.prosody
    pitch = [
        None if prosody.pitch_hertz is None else f"pitch {prosody.pitch_hertz:.0f} Hz",
        None if prosody.pitch_semitones is None else f"{prosody.pitch_semitones:+.1f} semitones",
        None if prosody.pitch_range_semitones is None else f"range {prosody.pitch_range_semitones:.1f}",
    ]
    manner = [
        None if prosody.loudness_decibels is None else f"{prosody.loudness_decibels:+.1f} dB",
        None if prosody.syllables_per_second is None else f"{prosody.syllables_per_second:.1f} syllables/s",
        None if not prosody.pause_share else f"pauses {prosody.pause_share:.0%}",
    ]
    parts = [format_labels(voice.emotions), ", ".join(filter(None, pitch)), ", ".join(filter(None, manner))]
    return "; ".join(filter(None, parts))


def format_status(status: OutputStatus) -> str:
    """Such as "face expressions: trained; explanations: untrained (not shown)"."""
    parts = []
    for name, words in STATUS_NAMES.items():
        value = getattr(status, name).replace("_", " ")
        parts.append(f"{words}: {value}{' (not shown)' if value == 'untrained' else ''}")
    return "; ".join(parts)


def _header(report: EmotionReport, *, width: int) -> list[str]:
    count = len(report.utterances)
    people = len(report.face_curves)
    facts = [
        f"{report.duration_seconds:.1f} s",
        f"{count} utterance{'' if count == 1 else 's'}",
        # Curves are of attended faces alone: with none, faces may well have been seen (`modalities` counts them).
        f"{people} face{'' if people == 1 else 's'}" if people else "no face attended",
    ]
    lines = wrap(f"{report.source}  {', '.join(facts)}", width=width)
    for modality in report.modalities:
        note = f": {modality.note}" if modality.note else ""
        lines += wrap(
            f"{'+' if modality.used else '-'} {modality.name}{note}", width=width, indent="  ", hanging="    "
        )
    lines += wrap(f"model {report.model.model_id}; {format_status(report.status)}", width=width, hanging="  ")
    for warning in report.warnings:
        lines += wrap(f"! {warning}", width=width, hanging="  ")
    return lines


def _utterance(utterance: UtteranceReport, *, number: int, width: int) -> list[str]:
    speaker = f"  {utterance.speaker}" if utterance.speaker else ""
    head = f"[{number}] {format_span(utterance.start_seconds, utterance.end_seconds)}{speaker}"
    words = f"  “{utterance.text}”" if utterance.text else "  (no words)"
    rows = [("English", f"“{utterance.english}”")] if utterance.english else []
    rows += _score_rows(utterance)
    rows += [] if utterance.voice is None else [("voice", format_voice(utterance.voice))]
    rows += [("micro-expr.", format_micro_expression(event)) for event in utterance.micro_expressions or ()]
    rows += _why_rows(utterance)
    for kinds in (("face", "scene"), ("words",)):  # voice and micro-expressions have rows of their own
        found = "; ".join(each.text for each in utterance.evidence if each.kind in kinds)
        rows += [("evidence", f"{kinds[0]}: {found}")] if found else []
    return [*wrap(head + words, width=width, hanging=INDENT), *_labelled(rows, width=width)]


def _summary(summary: ClipSummary, *, width: int) -> list[str]:
    rows = _score_rows(summary)
    if summary.micro_expressions is not None:
        rows.append(("micro-expr.", str(len(summary.micro_expressions))))
    rows += _why_rows(summary)
    return ["Whole clip", *_labelled(rows, width=width)] if rows else []


def _score_rows(part: UtteranceReport | ClipSummary) -> list[tuple[str, str]]:
    rows = [("face", format_labels(part.expressions)), ("emotions", format_labels(part.emotions))]
    rows.append(("in words", ", ".join(part.open_emotions or ())))
    if part.valence is not None and part.arousal is not None:
        rows.append(("feeling", f"valence {part.valence:+.2f}, arousal {part.arousal:+.2f}"))
    return [(name, text) for name, text in rows if text]


def _why_rows(part: UtteranceReport | ClipSummary) -> list[tuple[str, str]]:
    """The explanation, and how much of it no finding backed."""
    rows = [("why", part.description)] if part.description else []
    if part.unsupported_sentences:
        plural = "" if part.unsupported_sentences == 1 else "s"
        rows.append(("", f"({part.unsupported_sentences} sentence{plural} that nothing found backs left out)"))
    return rows


def _labelled(rows: Sequence[tuple[str, str]], *, width: int) -> list[str]:
    column = 12
    lines = []
    for name, text in rows:
        lines += wrap(f"{name:<{column}}{text}", width=width, indent=INDENT, hanging=INDENT + " " * column)
    return lines


def wrap(text: str, *, width: int, indent: str = "", hanging: str = "") -> list[str]:
    """`text` in lines of at most `width` columns; wide (East Asian) characters count two and may break anywhere."""
    lines, line = [], indent
    for piece in _pieces(printable(text)):
        if _columns(line + piece.rstrip()) > width and line.strip():
            lines.append(line.rstrip())
            line = hanging
            piece = piece.lstrip()
        while _columns(line + piece.rstrip()) > width:  # one word longer than a line
            room = max(1, width - _columns(line))
            head = piece[: _fitting(piece, columns=room)]
            lines.append(line + head)
            line, piece = hanging, piece[len(head) :]
        line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def printable(text: str) -> str:
    """`text` on one line, without characters that act on a terminal or turn the reading direction."""
    return "".join(
        " " if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") else character for character in text
    )


def _pieces(text: str) -> list[str]:
    """Words with their trailing blanks; a wide character is a piece of its own."""
    pieces, piece = [], ""
    for character in text:
        if piece and (_is_wide(character) or (piece[-1] == " " and character != " ") or _is_wide(piece[-1])):
            pieces.append(piece)
            piece = ""
        piece += character
    return [*pieces, piece] if piece else pieces


def _fitting(text: str, *, columns: int) -> int:
    """How many characters of `text` fit into `columns`; at least one, so that wrapping ends."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if _is_wide(character) else 1
        if used > columns:
            return max(index, 1)
    return len(text)


def _columns(text: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 10), 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{clock}" if hours else clock
