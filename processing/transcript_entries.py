"""Entries of a transcript, whatever its format, become utterances: one faulty entry never costs the others.

| what is wrong with an entry | what is done, and told in a warning |
|---|---|
| no end, or one before the start | it ends where the next one begins, or the video ends, after 30 s at most |
| starts before zero | it starts at zero |
| no readable start, or all of it before zero | left out |
| whole numbers beyond the video, or typical of milliseconds | read as milliseconds |
| a language that Whisper does not know | the language is left open |

An entry without length is lengthened in silence. Only a transcript of which every entry has a fault is
refused: a wrong time or an unknown language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .clip import Utterance
from .recogniser_tags import without_tags
from .spoken_languages import language_code
from .spoken_words import TimedWord, group_words
from .transcript_clock import MediaFacts, Time, are_milliseconds, choose_frame_rate, read_time

Unit = Literal["seconds", "milliseconds"]

START_NAMES = ("start", "start_seconds", "start_time", "starttime", "begin", "onset", "from", "start_ms")
END_NAMES = ("end", "end_seconds", "end_time", "endtime", "stop", "offset", "to", "end_ms")
DURATION_NAMES = ("duration", "duration_seconds", "dur", "duration_ms")
PAIR_NAMES = ("offsets", "timestamp", "timestamps", "time")  # of start and end: (0.0, 2.5), {"from": 0, "to": 2500}
WORD_NAMES = ("punctuated_word", "word")
TEXT_NAMES = ("text", "sentence", "transcript", "utterance", "subtitle", "transcription", "words", *WORD_NAMES)
SPEAKER_NAMES = ("speaker", "spk", "speaker_id", "name")
LANGUAGE_NAMES = ("language", "lang", "language_code")
ENGLISH_NAMES = ("english", "text_en", "translation_en")

SHORTEST_CUE_SECONDS = 0.02  # what an entry gets whose end is its start
LONGEST_MENDED_SECONDS = 30.0  # Whisper leaves out an end that lies beyond its window of 30 s
SECONDS_A_WORD = 0.4  # how long words are taken to last where nothing else says it


class Transcript(tuple[Utterance, ...]):
    """The utterances of a transcript, and in `warnings` what was mended or left out while they were read."""

    warnings: tuple[str, ...]

    def __new__(cls, utterances: Iterable[Utterance] = (), *, warnings: Iterable[str] = ()) -> Transcript:
        transcript = super().__new__(cls, tuple(utterances))
        transcript.warnings = tuple(warnings)
        return transcript


@dataclass(frozen=True)
class Entry:
    """An entry as it stands in the transcript. start, end: numbers, clock times, or None where there is none.

    has_duration: `end` is a length, counted from the start. language: as it is written there. english: the words in
    English, where they are given beside those of another language.
    """

    start: Any
    end: Any
    text: str
    speaker: str | None = None
    has_duration: bool = False
    language: str | None = None
    english: str | None = None


@dataclass(frozen=True)
class EntryList:
    """All entries of a transcript.

    name: of the transcript, in messages. unit: of numbers without one; None leaves it to `are_milliseconds`.
    are_words: each entry is one word; utterances are made of them. warnings: what the format's reader had to say.
    """

    entries: Sequence[Entry]
    name: str
    unit: Unit | None = None
    are_words: bool = False
    warnings: tuple[str, ...] = ()


def read_entry(value: Any) -> Entry | None:
    """Returns an entry that is given as a dict, or as an object with such attributes; None where it is neither."""
    fields = _fields(value)
    if fields is None:
        return None
    start, end = _first(fields, START_NAMES), _first(fields, END_NAMES)
    has_duration = False
    if start is None and end is None:
        start, end = next((pair for name in PAIR_NAMES if (pair := _pair(fields.get(name))) is not None), (None, None))
    if start is not None and end is None and (duration := _first(fields, DURATION_NAMES)) is not None:
        end, has_duration = duration, True
    return Entry(
        start=start,
        end=end,
        text=" ".join(text.split()) if (text := words_of(value)) is not None else "",
        speaker=_line(_first(fields, SPEAKER_NAMES)),
        has_duration=has_duration,
        language=stated_language(fields),
        english=_line(_first(fields, ENGLISH_NAMES)),
    )


def stated_language(fields: Mapping[str, Any]) -> str | None:
    """Returns the language that an entry or a whole transcript names, as it is written there; None for none."""
    return _line(_first(fields, LANGUAGE_NAMES))


def words_of(value: Any) -> str | None:
    """Returns the text of such an entry as it stands there, None where it has none."""
    fields = _fields(value) or {}
    found = next((fields[name] for name in TEXT_NAMES if isinstance(fields.get(name), (str, int, float))), None)
    return None if found is None else str(found)


def states_milliseconds(value: Any) -> bool:
    """Says whether such an entry names its unit: "start_ms"."""
    return "start_ms" in (_fields(value) or {})


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return {str(key).lower(): entry for key, entry in value.items()}
    names = (*START_NAMES, *END_NAMES, *TEXT_NAMES, *SPEAKER_NAMES, *LANGUAGE_NAMES, *ENGLISH_NAMES)
    if not hasattr(value, "start") or not hasattr(value, "end"):
        return None
    return {
        name: getattr(value, name) for name in names if hasattr(value, name) and not callable(getattr(value, name))
    }


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _line(value: Any) -> str | None:
    """A value as one line of text, None where nothing stands there."""
    return " ".join(str(value).split()) or None if isinstance(value, (str, int, float)) else None


def _pair(value: Any) -> tuple[Any, Any] | None:
    if isinstance(value, Mapping):
        return value.get("from"), value.get("to")
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return value[0], value[1]
    return None


def build_transcript(listed: EntryList, *, media: MediaFacts) -> Transcript:
    """Returns the utterances of the entries, in their order.

    Raises `ValueError` where every entry has a fault, or where whole numbers fit the video in no unit.
    """
    warnings = list(listed.warnings)
    starts, ends = _times(listed, media=media, warnings=warnings)
    utterances: list[Utterance] = []
    faults: list[str] = []
    endless = 0
    for index, entry in enumerate(listed.entries):
        place = f"{listed.name}, entry {index + 1}"
        start, end = starts[index], ends[index]
        fault = _fault(entry, start=start, end=end)
        language, language_fault = _language(entry)
        found = [each for each in (fault, language_fault) if each is not None]
        if found:
            faults.append(f"{place}: {'; '.join(found)}")
        if start is None or (start < 0 and (end is None or end <= 0)):
            warnings.append(f"left out: {faults[-1]}")
            continue
        start = max(start, 0.0)
        if end is None or end < start:
            end = _mended_end(start, entry=entry, later=starts[index + 1 :], media=media)
            endless += 1
            fault = fault or "it has no end"
        if fault is not None and not listed.are_words:
            warnings.append(f"{place} {_quoted(entry)}: {fault}; it is now at {start:.2f}-{end:.2f} s")
        if language_fault is not None:
            warnings.append(f"{place} {_quoted(entry)}: {language_fault}; its language was left open")
        if end == start:
            end = start + SHORTEST_CUE_SECONDS
        utterances.append(Utterance(start, end, entry.text, entry.speaker, language, english=entry.english))
    if faults and len(faults) == len(listed.entries):
        raise ValueError(faults[0])
    if listed.are_words and endless:
        warnings.append(f"{listed.name} has {endless} words without a usable end: they end where the next one begins")
    if listed.are_words:
        words = [TimedWord(w.start_seconds, w.end_seconds, w.text, w.speaker, w.language) for w in utterances]
        utterances = [Utterance(*each) for each in group_words(words)]
    return Transcript((without_tags(utterance) for utterance in utterances), warnings=warnings)


def _language(entry: Entry) -> tuple[str | None, str | None]:
    """The code of an entry's language, and what is wrong with a language that has none."""
    try:
        return language_code(entry.language), None
    except ValueError as error:
        return None, str(error)


def _fault(entry: Entry, *, start: float | None, end: float | None) -> str | None:
    """What is wrong with the times of an entry, None where they are right or only an end is missing."""
    if start is None:
        allowed = "finite numbers and clock times are allowed"
        return f"start and end must be times, got {entry.start!r} and {entry.end!r}; {allowed}"
    if start < 0:
        return f"start_seconds ({start:g}) must be >= 0"
    if end is not None and end < start:
        return f"end_seconds ({end:g}) must be > start_seconds ({start:g})"
    return None


def _times(
    listed: EntryList, *, media: MediaFacts, warnings: list[str]
) -> tuple[list[float | None], list[float | None]]:
    """Starts and ends of all entries in seconds, None where one cannot be read."""
    values = [value for entry in listed.entries for value in (entry.start, entry.end)]
    rate = choose_frame_rate(values, video=media.frame_rate)
    if rate is not None:
        whose = "the video's own" if rate == media.frame_rate else "assumed"
        warnings.append(
            f"{listed.name} gives times in frames (hh:mm:ss:ff): read at {rate:.2f} frames a second, {whose}"
        )
    pairs = [(read_time(e.start, frame_rate=rate), read_time(e.end, frame_rate=rate)) for e in listed.entries]
    scale = 1000.0 if _in_milliseconds(listed, pairs, media=media, warnings=warnings) else 1.0
    starts, ends = ([_scaled(time, scale) for time in side] for side in ([p[0] for p in pairs], [p[1] for p in pairs]))
    for index, entry in enumerate(listed.entries):
        start, length = starts[index], ends[index]
        if entry.has_duration and start is not None and length is not None:
            ends[index] = start + length
    return starts, ends


def _scaled(time: Time | None, scale: float) -> float | None:
    if time is None:
        return None
    return time.value if time.unit_is_known else time.value / scale


def _in_milliseconds(
    listed: EntryList,
    pairs: Sequence[tuple[Time | None, Time | None]],
    *,
    media: MediaFacts,
    warnings: list[str],
) -> bool:
    """Whether bare numbers are milliseconds: as stated, or guessed where all are whole."""
    if listed.unit is not None:
        return listed.unit == "milliseconds"
    spans = [
        (start.value, start.value + end.value if entry.has_duration else end.value, len(entry.text))
        for (start, end), entry in zip(pairs, listed.entries, strict=True)
        if start is not None and end is not None and not (start.unit_is_known or end.unit_is_known)
    ]
    if not spans or any(time != round(time) for start, end, _ in spans for time in (start, end)):
        return False
    starts, ends = np.array([span[0] for span in spans]), np.array([span[1] for span in spans])
    characters = sum(span[2] for span in spans)
    guessed = are_milliseconds(starts, ends, characters=characters, duration_seconds=media.duration_seconds)
    if media.duration_seconds is not None and starts.min() / (1000 if guessed else 1) >= media.duration_seconds:
        raise ValueError(
            f"{listed.name} has whole-number times from {starts.min():.0f} to {ends.max():.0f}, which fit the video "
            f"(it ends at {media.duration_seconds:.2f} s) neither as seconds nor as milliseconds; state the unit by "
            "decimal seconds (1.25) or by columns start_ms and end_ms"
        )
    if guessed:
        warnings.append(f"{listed.name} has whole-number times up to {ends.max():.0f}: read as milliseconds")
    return guessed


def _mended_end(start: float, *, entry: Entry, later: Sequence[float | None], media: MediaFacts) -> float:
    following = next((time for time in later if time is not None and time > start), None)
    if following is None and media.duration_seconds is not None and media.duration_seconds > start:
        following = media.duration_seconds
    if following is None:
        following = start + SECONDS_A_WORD * max(len(entry.text.split()), 1)
    return min(following, start + LONGEST_MENDED_SECONDS)


def _quoted(entry: Entry) -> str:
    return repr(entry.text if len(entry.text) <= 20 else entry.text[:17] + "...")
