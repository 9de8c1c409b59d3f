"""Transcripts of all usual formats as utterances: which reader a source needs, and that it is text at all.

Subtitles (`subtitle_cues`), JSON and objects of recognisers (`transcript_json`), tables (`transcript_table`), lists of
utterances; what is wrong with single entries is mended in `transcript_entries`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .clip import Utterance
from .recogniser_tags import without_tags
from .subtitle_cues import SUBTITLE_SUFFIXES, cue_entries, has_cues, split_speaker, subtitle_entries
from .transcript_clock import MediaFacts
from .transcript_entries import EntryList, Transcript, build_transcript
from .transcript_json import json_entries
from .transcript_table import table_entries

TranscriptSource = str | Path | bytes | Mapping[str, Any] | Iterable[Any]

FORMATS = (
    "SRT, VTT, ASS, TSV, CSV, JSON (Whisper, whisper.cpp, faster-whisper, whisperX, transformers, FunASR, Deepgram, "
    "OpenAI, a list of start/end/text), JSON lines"
)


def parse_transcript(
    source: TranscriptSource, *, duration_seconds: float | None = None, frame_rate: float | None = None
) -> Transcript:
    """Returns the utterances of a transcript, in its order; `align_utterances` fits them to the video.

    A transcript in which nobody speaks (no segments, no cues) has no utterances. A single faulty entry is mended or
    left out, and `warnings` of the result name it.

    Args:
        source: Path of a file, its text or bytes, parsed JSON, a list or generator of entries (dicts, or objects with
            start, end, text, speaker), faster-whisper's (segments, info), or a list of `Utterance`.
        duration_seconds: Where the video ends, if it is known: it tells milliseconds from seconds, and a last entry
            without an end where to end.
        frame_rate: Of the video, if it is known, for times that count frames.

    Raises:
        ValueError: No known format, or no entry that can be used.
    """
    media = MediaFacts(duration_seconds, frame_rate)
    if isinstance(source, bytes):
        return _parse_text(_decode(source, name="transcript"), suffix="", name="transcript", media=media)
    if isinstance(source, Path) or (isinstance(source, str) and _looks_like_path(source)):
        path = Path(source)
        if not path.is_file():
            raise ValueError(f"transcript {str(source)!r} is no file; allowed are files and texts of {FORMATS}")
        text = _decode(path.read_bytes(), name=path.name)
        return _parse_text(text, suffix=path.suffix.lower(), name=path.name, media=media)
    if isinstance(source, str):
        return _parse_text(source, suffix="", name="transcript", media=media)
    if isinstance(source, (Mapping, Iterable)) or hasattr(source, "model_dump"):
        return _parse_values(source, media=media)
    raise ValueError(f"transcript is a {type(source).__name__}; allowed are paths, texts, lists and {FORMATS}")


def reusable_source(source: Any) -> Any:
    """Returns a source that can be parsed again: what a generator yields as a list, others as they are."""
    is_pair = isinstance(source, Sequence) and len(source) == 2 and not isinstance(source[1], Utterance)
    if is_pair and hasattr(source[1], "language_probability"):
        return list(source[0])  # faster-whisper's (segments, info)
    return list(source) if isinstance(source, Iterator) else source


def _parse_values(source: Any, *, media: MediaFacts) -> Transcript:
    if hasattr(source, "model_dump") or isinstance(source, Mapping):
        return build_transcript(json_entries(source, name="transcript"), media=media)
    warnings = getattr(source, "warnings", ())
    values = list(reusable_source(source))
    if values and all(isinstance(value, Utterance) for value in values):
        return Transcript((without_tags(utterance) for utterance in values), warnings=warnings)
    return build_transcript(json_entries(values, name="transcript"), media=media)


def _looks_like_path(text: str) -> bool:
    return not any(mark in text.strip() for mark in "\n\r\t") and not text.lstrip().startswith(("{", "[", "WEBVTT"))


def _decode(data: bytes, *, name: str) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None


def _parse_text(text: str, *, suffix: str, name: str, media: MediaFacts) -> Transcript:
    stripped = text.strip().lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not stripped:
        raise ValueError(f"{name} is empty; allowed are {FORMATS}")
    return build_transcript(_text_entries(stripped, suffix=suffix, name=name, media=media), media=media)


def _text_entries(text: str, *, suffix: str, name: str, media: MediaFacts) -> EntryList:
    if text[0] in "{[" and suffix not in SUBTITLE_SUFFIXES and not text.startswith("[Script Info]"):
        return json_entries(_load_json(text, name=name), name=name)
    if has_cues(text):
        return cue_entries(text, name=name)
    if suffix in SUBTITLE_SUFFIXES or text.startswith("[Script Info]"):
        return subtitle_entries(text, name=name, frame_rate=media.frame_rate)
    return table_entries(text, name=name, formats=FORMATS)


def _load_json(text: str, *, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as whole:  # also for a number of too many digits, and lists nested too deeply
        try:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise ValueError(f"{name} is broken JSON: {whole}") from None


__all__ = ["FORMATS", "Transcript", "TranscriptSource", "parse_transcript", "reusable_source", "split_speaker"]
