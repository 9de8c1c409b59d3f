"""Cues of SRT and WebVTT, line by line, and other subtitles (ASS, SSA, MicroDVD, SAMI, TTML) through pysubs2.

pysubs2 looks for two times of its own form in a line, and takes a line without them for words: `100:00:01,000` becomes
1 s, `00:00:01:12` is spoken. Here an arrow makes a timing line, and its times are read by `transcript_clock`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .rolling_captions import CaptionWord, RollingCue, unroll
from .transcript_clock import read_time
from .transcript_entries import Entry, EntryList

try:
    import pysubs2
except ImportError:
    pysubs2 = None  # type: ignore[assignment]

SUBTITLE_SUFFIXES = {".srt", ".vtt", ".ass", ".ssa", ".sub", ".smi", ".sami", ".ttml"}

_TIMING = re.compile(r"\s*(?P<start>\S[^<>]{0,20}?)\s*-->\s*(?P<end>[^\s<>]\S*)(?:\s.*)?$")
_NOTES = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")  # no [^>]+: a text of "<v <v <v" would take its length squared
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_TIME_TAG = re.compile(r"<(\d[\d:.]*)>")
# "Anna:", "DR. MILLER:", "[SPEAKER_00]:": up to three capitalised words. Marked voices of VTT stand in \x02...\x03.
_SPEAKER = re.compile(
    r"\s*(?:\x02(?P<voice>[^\x02\x03]+)\x03"
    r"|\[(?P<label>[^\]:]{1,40})\]\s*[::]"
    r"|(?P<name>[^\W\d_a-z][\w.'-]*(?: [^\W\d_a-z][\w.'-]*){0,2})\s*[::](?=\s|$))\s*"
)


@dataclass(frozen=True)
class _Cue:
    """A cue as it stands in the file."""

    start: str
    end: str
    lines: tuple[str, ...]


def has_cues(text: str) -> bool:
    """Says whether a text is SRT or WebVTT: a line of two times with an arrow between them, or WebVTT's first line."""
    return text.startswith("WEBVTT") or any(_timing(line) is not None for line in text.splitlines())


def cue_entries(text: str, *, name: str) -> EntryList:
    """Returns the entries of SRT or WebVTT; of rolling captions each phrase once.

    Raises `ValueError` where no cue has readable times.
    """
    cues, unreadable = _read_cues(text.splitlines(), is_vtt=text.startswith("WEBVTT"))
    if unreadable and not cues:
        raise ValueError(
            f"{name} has {len(unreadable)} cues with -->, of which none has readable times: {unreadable[0]}"
        )
    warnings = [f"left out: {name} has a cue whose times cannot be read: {line!r}" for line in unreadable]
    rolled = [_rolling_cue(cue) for cue in cues]
    phrases = unroll([cue for cue in rolled if cue is not None]) if all(rolled) else None
    if phrases is None:
        return EntryList(
            [_entry(cue.start, cue.end, "\n".join(cue.lines)) for cue in cues], name=name, warnings=tuple(warnings)
        )
    warnings.append(f"{name} holds rolling captions: what a cue repeats of the one before was taken once")
    entries = [_entry(phrase.start_seconds, phrase.end_seconds, phrase.text) for phrase in phrases]
    return EntryList(entries, name=name, unit="seconds", warnings=tuple(warnings))


def subtitle_entries(text: str, *, name: str, frame_rate: float | None) -> EntryList:
    """Returns the entries of subtitles that pysubs2 reads.

    Raises `ValueError` for what it cannot read, `ImportError` where it is missing.
    """
    if pysubs2 is None:
        raise ImportError(f"{name} holds subtitles, which need the package pysubs2")
    known = "ass" if text.startswith("[Script Info]") else None
    try:
        file = pysubs2.SSAFile.from_string(text, format_=known, fps=frame_rate)
    except Exception as error:  # its readers raise whatever a broken file makes them stumble over
        raise ValueError(f"{name} cannot be read as subtitles: {error or type(error).__name__}") from None
    entries = []
    for event in file:
        if event.is_comment:
            continue
        entry = _entry(event.start / 1000, event.end / 1000, event.plaintext)
        entries.append(entry if entry.speaker else Entry(entry.start, entry.end, entry.text, event.name or None))
    return EntryList(entries, name=name, unit="seconds")


def split_speaker(text: str) -> tuple[str | None, str]:
    """Returns speaker and words of "Anna: Look!", (None, text) where no name stands in front."""
    match = _SPEAKER.match(text)
    speaker = match and (match["voice"] or match["label"] or match["name"])
    words = text[match.end() :] if match and speaker else text
    words = re.sub(r"\x02([^\x02\x03]+)\x03", r" \1: ", words)
    return (speaker.strip() if speaker else None), " ".join(words.split())


def _entry(start: str | float, end: str | float, marked: str) -> Entry:
    speaker, words = split_speaker(_plain(marked))
    return Entry(start, end, words, speaker)


def _plain(marked: str) -> str:
    """Returns the words without tags; a marked voice stands in \\x02...\\x03."""
    voiced = _VOICE.sub("\x02\\1\x03", _TIME_TAG.sub("", marked))
    return html.unescape(_TAG.sub("", voiced))


def _read_cues(lines: Sequence[str], *, is_vtt: bool) -> tuple[list[_Cue], list[str]]:
    """Returns the cues, and the timing lines of those without readable times."""
    blocks: list[tuple[re.Match[str] | None, list[str]]] = []  # timing line, and what stands below it
    unreadable: list[str] = []
    in_note = is_vtt  # as in a note, nothing of WebVTT's head is spoken
    for number, line in enumerate(lines):
        begins_block = number == 0 or not lines[number - 1].strip()
        if is_vtt and begins_block and _NOTES.match(line):
            in_note = True
        elif begins_block and number:
            in_note = False
        timing = None if in_note and number and lines[number - 1].strip() else _timing(line)
        if timing is None:
            if blocks and not in_note:
                blocks[-1][1].append(line)
            continue
        in_note = False
        if blocks:
            _drop_identifier(blocks[-1][1])
        readable = all(read_time(timing[side]) is not None for side in ("start", "end"))
        if not readable:
            unreadable.append(line.strip())
        blocks.append((timing if readable else None, []))
    return [_Cue(timing["start"], timing["end"], tuple(below)) for timing, below in blocks if timing], unreadable


def _timing(line: str) -> re.Match[str] | None:
    """The parts of a timing line, of whose times one at least can be read: "File --> Open" is spoken."""
    match = _TIMING.match(line) if "-->" in line else None
    return match if match and any(read_time(match[side]) is not None for side in ("start", "end")) else None


def _drop_identifier(lines: list[str]) -> None:
    """Takes away the number or name above the next cue's timing line: digits, or a line behind an empty one."""
    if lines and lines[-1].strip() and (lines[-1].strip().isdigit() or len(lines) > 1 and not lines[-2].strip()):
        lines.pop()


def _rolling_cue(cue: _Cue) -> RollingCue | None:
    start, end = read_time(cue.start), read_time(cue.end)
    if start is None or end is None:
        return None
    words: list[CaptionWord] = []
    line_begins = []
    for line in cue.lines:
        if not _plain(line).strip():
            continue
        line_begins.append(len(words))
        pieces = _TIME_TAG.split(line)  # words, time, words, time, words
        for piece, clock in zip(pieces[::2], (None, *pieces[1::2]), strict=True):
            time = read_time(clock) if clock else None
            words += [CaptionWord(word, None if time is None else time.value) for word in _plain(piece).split()]
    return RollingCue(start.value, end.value, tuple(words), tuple(line_begins))
