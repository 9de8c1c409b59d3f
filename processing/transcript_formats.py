"""Transcripts of all usual formats as utterances.

Subtitles (SRT, VTT, ASS and what else pysubs2 reads), JSON of Whisper, whisperX and FunASR, tables (TSV as whisper
writes it, CSV), JSON lines, lists of dicts.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .clip import Utterance
from .spoken_languages import language_code

try:
    import pysubs2
except ImportError:
    pysubs2 = None  # type: ignore[assignment]

TranscriptSource = str | Path | bytes | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Sequence[Utterance]

FORMATS = "SRT, VTT, ASS, TSV, CSV, JSON (Whisper, whisperX, FunASR, a list of start/end/text), JSON lines"
SUBTITLE_SUFFIXES = {".srt", ".vtt", ".ass", ".ssa", ".sub"}
SHORTEST_CUE_SECONDS = 0.02  # what a cue gets whose end is its start
# Integer times can be seconds or, as whisper's TSV has them, milliseconds: no utterance is typically longer than 100 s
# and none shorter than 100 ms.
LONGEST_TYPICAL_SECONDS = 100

START_NAMES = ("start", "start_seconds", "start_time", "starttime", "begin", "onset", "from", "start_ms")
END_NAMES = ("end", "end_seconds", "end_time", "endtime", "stop", "offset", "to", "end_ms")
TEXT_NAMES = ("text", "sentence", "words", "utterance", "subtitle", "transcript", "transcription")
SPEAKER_NAMES = ("speaker", "spk", "speaker_id", "name")
LANGUAGE_NAMES = ("language", "lang")
ENGLISH_NAMES = ("english", "text_en", "translation_en")

_CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:[.,]\d+)?)")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\d[\d:.]*>")
# "Anna:", "DR. MILLER:", "[SPEAKER_00]:": up to three capitalised words. Marked voices of VTT stand in \x02...\x03.
_SPEAKER = re.compile(
    r"\s*(?:\x02(?P<voice>[^\x03]+)\x03"
    r"|\[(?P<label>[^\]:]{1,40})\]\s*[::]"
    r"|(?P<name>[^\W\d_a-z][\w.'-]*(?: [^\W\d_a-z][\w.'-]*){0,2})\s*[::](?=\s|$))\s*"
)


def parse_transcript(source: TranscriptSource) -> tuple[Utterance, ...]:
    """Returns the utterances of a transcript, in its order; `align_utterances` mends what is wrong with their times.

    A transcript in which nobody speaks (no segments, no cues) has no utterances.

    Args:
        source: Path of a file, its text or bytes, parsed JSON, a list of dicts (start, end, text, speaker) in seconds,
            or a list of `Utterance`.

    Raises:
        ValueError: No known format, an unreadable entry, or an utterance whose times cannot be.
    """
    if isinstance(source, bytes):
        return _parse_text(_decode(source, name="transcript"), suffix="", name="transcript")
    if isinstance(source, Path) or (isinstance(source, str) and _looks_like_path(source)):
        path = Path(source)
        if not path.is_file():
            raise ValueError(f"transcript {str(source)!r} is no file; allowed are files and texts of {FORMATS}")
        return _parse_text(_decode(path.read_bytes(), name=path.name), suffix=path.suffix.lower(), name=path.name)
    if isinstance(source, str):
        return _parse_text(source, suffix="", name="transcript")
    if isinstance(source, (Mapping, Sequence)):
        return _parse_json(source, name="transcript")
    raise ValueError(f"transcript is a {type(source).__name__}; allowed are paths, texts, lists and {FORMATS}")


def _looks_like_path(text: str) -> bool:
    return not any(mark in text.strip() for mark in "\n\t") and not text.lstrip().startswith(("{", "[", "WEBVTT"))


def _decode(data: bytes, *, name: str) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None


def _parse_text(text: str, *, suffix: str, name: str) -> tuple[Utterance, ...]:
    stripped = text.strip().lstrip("\ufeff")
    if not stripped:
        raise ValueError(f"{name} is empty; allowed are {FORMATS}")
    if stripped[0] in "{[" and suffix not in SUBTITLE_SUFFIXES and not stripped.startswith("[Script Info]"):
        return _parse_json(_load_json(stripped, name=name), name=name)
    if suffix in SUBTITLE_SUFFIXES or "-->" in stripped or stripped.startswith(("WEBVTT", "[Script Info]")):
        return _parse_subtitles(stripped, name=name)
    return _parse_table(stripped, name=name)


def _load_json(text: str, *, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as whole:
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError:
            raise ValueError(f"{name} is broken JSON: {whole}") from None


def _parse_json(data: Any, *, name: str) -> tuple[Utterance, ...]:
    entries, milliseconds = _json_entries(data)
    if entries is None:
        keys = sorted(data)[:8] if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(
            f"{name} is JSON without utterances (found {keys}); allowed are segments, sentence_info, utterances, or a "
            "list of entries with start, end and text"
        )
    if all(isinstance(entry, Utterance) for entry in entries):
        return tuple(entries)
    whole = data.get("language") if isinstance(data, Mapping) else None  # as Whisper and whisperX write it
    if isinstance(whole, str):
        entries = [{"language": whole, **entry} if isinstance(entry, Mapping) else entry for entry in entries]
    return _build(entries, milliseconds=milliseconds, name=name)


def _json_entries(data: Any) -> tuple[list[Any] | None, bool]:
    """Returns the list of utterances inside parsed JSON, and whether their times are milliseconds (FunASR)."""
    if isinstance(data, Mapping):
        for key in ("segments", "utterances", "sentence_info"):
            if isinstance(data.get(key), Sequence) and not isinstance(data[key], str):
                return list(data[key]), key == "sentence_info"
        return None, False
    if any(isinstance(entry, Mapping) and "sentence_info" in entry for entry in data):
        return [sentence for entry in data for sentence in entry.get("sentence_info", ())], True
    usable = all(isinstance(entry, (Mapping, Utterance)) for entry in data)
    return (list(data), False) if usable else (None, False)


def _parse_subtitles(text: str, *, name: str) -> tuple[Utterance, ...]:
    if pysubs2 is None:
        raise ImportError(f"{name} holds subtitles, which need the package pysubs2")
    marked = _VOICE.sub("\x02\\1\x03", text)  # pysubs2 would drop the voice
    try:
        events = [event for event in pysubs2.SSAFile.from_string(marked) if not event.is_comment]
    except (pysubs2.Pysubs2Error, ValueError) as error:
        raise ValueError(f"{name} cannot be read as subtitles: {error}") from None
    cues = sum("-->" in line for line in marked.splitlines())
    if cues > len(events):
        raise ValueError(f"{name} has {cues} cues with -->, of which only {len(events)} have readable times")
    entries = []
    for event in events:
        words = _TAG.sub("", html.unescape(event.plaintext))
        speaker, words = split_speaker(words)
        entries.append({"start": event.start / 1000, "end": event.end / 1000, "text": words, "speaker": speaker})
        entries[-1]["speaker"] = speaker or event.name or None
    return _build(entries, milliseconds=False, name=name)


def split_speaker(text: str) -> tuple[str | None, str]:
    """Returns speaker and words of "Anna: Look!", (None, text) where no name stands in front."""
    match = _SPEAKER.match(text)
    speaker = match and (match["voice"] or match["label"] or match["name"])
    words = text[match.end() :] if match and speaker else text
    words = re.sub(r"\s*\x02([^\x03]+)\x03", r" \1: ", words)
    return (speaker.strip() if speaker else None), " ".join(words.split())


def _parse_table(text: str, *, name: str) -> tuple[Utterance, ...]:
    lines = [line for line in text.splitlines() if line.strip()]
    delimiter = max("\t;,|", key=lambda mark: min(line.count(mark) for line in lines[:20]))
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    header = [cell.strip().lower() for cell in rows[0]]
    if _column(header, START_NAMES) is not None:
        body = rows[1:]
    elif len(header) >= 2 and _seconds(header[0]) is not None and _seconds(header[1]) is not None:
        header = ["start", "end", "speaker", "text"] if len(header) == 4 else ["start", "end", "text"]
        body = rows
    else:
        raise ValueError(f"{name} is no transcript of a known format, it begins {lines[0][:60]!r}; allowed: {FORMATS}")
    if delimiter not in text or any(len(row) < 2 for row in body):
        raise ValueError(f"{name} is a table in which not every row has start and end: {lines[0][:60]!r}")
    entries = [dict(zip(header, _joined(row, len(header), delimiter), strict=False)) for row in body]
    return _build(entries, milliseconds=_is_milliseconds(entries), name=name)


def _joined(row: list[str], width: int, delimiter: str) -> list[str]:
    """Returns a row whose surplus cells, a text with unquoted delimiters, are one cell again."""
    return row if len(row) <= width else [*row[: width - 1], delimiter.join(row[width - 1 :])]


def _column(names: Iterable[str], allowed: Sequence[str]) -> str | None:
    return next((name for name in names if name in allowed), None)


def _is_milliseconds(entries: Sequence[Mapping[str, Any]]) -> bool:
    start = _column(entries[0], START_NAMES) if entries else None
    end = _column(entries[0], END_NAMES) if entries else None
    if start is None or end is None or start == "start_ms":
        return start == "start_ms"
    if any(mark in str(entry[name]) for entry in entries for name in (start, end) for mark in ".:"):
        return False
    lengths = [(_seconds(entry[end]) or 0) - (_seconds(entry[start]) or 0) for entry in entries]
    return float(np.median(lengths)) > LONGEST_TYPICAL_SECONDS


def _seconds(value: Any) -> float | None:
    """Returns a number, or a clock time such as 00:01:02,500, in seconds (or in the unit of the number)."""
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value or "").strip()
    clock = _CLOCK.fullmatch(text)
    if clock:
        seconds = float(clock["seconds"].replace(",", "."))
        return int(clock["hours"] or 0) * 3600 + int(clock["minutes"]) * 60 + seconds
    try:
        return float(text)
    except ValueError:
        return None


def _build(entries: Sequence[Any], *, milliseconds: bool, name: str) -> tuple[Utterance, ...]:
    return tuple(_utterance(entry, number, milliseconds, name) for number, entry in enumerate(entries, start=1))


def _utterance(entry: Any, number: int, milliseconds: bool, name: str) -> Utterance:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{name}, entry {number}: expected start, end and text, got {entry!r}")
    keys = {str(key).lower(): key for key in entry}
    values = [
        entry[keys[column]] if (column := _column(keys, names)) is not None else None
        for names in (START_NAMES, END_NAMES, TEXT_NAMES, SPEAKER_NAMES, LANGUAGE_NAMES, ENGLISH_NAMES)
    ]
    start, end = (_seconds(value) for value in values[:2])
    if start is None or end is None:
        raise ValueError(f"{name}, entry {number}: start and end must be times, got {values[0]!r} and {values[1]!r}")
    scale = 1000 if milliseconds else 1
    start, end = start / scale, end / scale
    if end == start:
        end = start + SHORTEST_CUE_SECONDS
    speaker, language, english = (" ".join(str(value or "").split()) or None for value in values[3:])
    text = " ".join(str(values[2] or "").split())
    try:
        return Utterance(start, end, text, speaker, language=language_code(language), english=english)
    except ValueError as error:
        raise ValueError(f"{name}, entry {number}: {error}") from None
