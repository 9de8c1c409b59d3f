"""A report as SRT or WebVTT: the words, under them their English, then what face and voice say.

English is a line of its own, as bilingual subtitles have it: players show every line and hide WebVTT's notes.
"""

from __future__ import annotations

import re

from microemo.inference.report.report import EmotionReport, UtteranceReport
from microemo.inference.report.text_timeline import format_labels, printable

_CUE_TIME = re.compile(r"(\d:\d\d)[.,](?=\d)")


def to_srt(report: EmotionReport) -> str:
    """One SubRip cue for each utterance: "Anna: words", then a line in brackets with the findings."""
    cues = []
    for number, utterance in enumerate(report.utterances, start=1):
        span = f"{_timestamp(utterance.start_seconds, ',')} --> {_timestamp(utterance.end_seconds, ',')}"
        speaker = f"{printable(utterance.speaker)}: " if utterance.speaker else ""
        # "-->" inside a cue would read as the next cue's times; < and { start markup in players.
        lines = [speaker + _plain(utterance.text), _plain(utterance.english or ""), *_findings(utterance)]
        text = "\n".join(line for line in lines if line.strip())
        cues.append(f"{number}\n{span}\n{text}\n")
    return "\n".join(cues)


def to_vtt(report: EmotionReport) -> str:
    """One WebVTT cue for each utterance; the speaker is a voice tag, which players style and screen readers name."""
    cues = ["WEBVTT\n"]
    for number, utterance in enumerate(report.utterances, start=1):
        span = f"{_timestamp(utterance.start_seconds, '.')} --> {_timestamp(utterance.end_seconds, '.')}"
        words = _escaped(utterance.text)
        if utterance.speaker:
            words = f"<v {_escaped(utterance.speaker)}>{words}</v>"
        lines = [words, _escaped(utterance.english or ""), *map(_escaped, _findings(utterance))]
        text = "\n".join(line for line in lines if line.strip())
        cues.append(f"{number}\n{span}\n{text}\n")
    return "\n".join(cues)


def _findings(utterance: UtteranceReport) -> list[str]:
    """At most one line in brackets: emotions, else the face's expression, and the count of micro-expressions."""
    found = []
    if utterance.open_emotions:
        found.append(", ".join(utterance.open_emotions))
    elif utterance.emotions:
        found.append(format_labels(utterance.emotions, count=2))
    if utterance.expressions:
        found.append(f"face: {format_labels(utterance.expressions, count=1)}")
    for event in utterance.micro_expressions or ():
        shown = f" of {event.expression}" if event.expression else ""
        found.append(f"micro-expression{shown} at {event.apex_seconds:.2f} s")
    return [f"[{'; '.join(found)}]"] if found else []


def _timestamp(seconds: float, separator: str) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{separator}{rest % 1000:03d}"


def _plain(text: str) -> str:
    """Text on one line in which no player finds markup or times: SubRip has no escapes, so look-alikes stand in."""
    text = _one_line(text)
    for mark, look_alike in (("-->", "→"), ("<", "‹"), (">", "›"), ("{", "("), ("}", ")")):
        text = text.replace(mark, look_alike)
    return text


def _escaped(text: str) -> str:
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    """Text without line ends, which would end the cue, and without times in the form of a cue's own.

    Some readers take any two such times on a line for the next cue, whatever stands between them.
    """
    return _CUE_TIME.sub(r"\1 ", re.sub(r"\s+", " ", printable(text)).strip())
