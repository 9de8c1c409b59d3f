"""JSON of recognisers, and the same as Python objects: where the entries stand, and in which unit.

| who writes it | entries |
|---|---|
| Whisper, whisperX, faster-whisper, OpenAI (verbose_json) | `segments` |
| whisper.cpp | `transcription[].offsets`, ms |
| transformers, transformers.js | `chunks[].timestamp`; words where each chunk is one |
| FunASR | `sentence_info`, ms |
| Deepgram | `results.utterances`, or the words of `results.channels` |
| OpenAI with words alone, AssemblyAI | `words` |
| AWS | `results.audio_segments` |
| this package | `utterances` |
| anybody | a list of entries, a list or generator of faster-whisper's segments |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .spoken_words import punctuated
from .transcript_clock import read_time
from .transcript_entries import EntryList, Unit, read_entry, stated_language, states_milliseconds, words_of

LONGEST_TYPICAL_WORD_SECONDS = 1.0
FEWEST_WORDS = 3  # fewer chunks of one word each are answers such as "Yes."
ENTRY_KEYS: dict[str, Unit | None] = {
    "segments": None,
    "utterances": None,
    "sentence_info": "milliseconds",
    "transcription": "milliseconds",
    "chunks": "seconds",
    "audio_segments": "seconds",
}


def json_entries(data: Any, *, name: str) -> EntryList:
    """Returns the entries of parsed JSON, or of objects of the same form.

    Raises `ValueError` where there are none, or where one is no entry.
    """
    data = _plain(data)
    found = _find(data)
    if found is None:
        keys = sorted(map(str, data))[:8] if isinstance(data, Mapping) else type(data).__name__
        raise ValueError(
            f"{name} is JSON without utterances (found {keys}); allowed are segments, sentence_info, utterances, "
            "transcription, chunks, words, Deepgram's results, or a list of entries with start, end and text"
        )
    values, unit, are_words = found
    values = [_plain(value) for value in values]
    entries = [read_entry(value) for value in values]
    for number, (value, entry) in enumerate(zip(values, entries, strict=True), start=1):
        if entry is None:
            raise ValueError(f"{name}, entry {number}: expected start, end and text, got {value!r}")
    whole = stated_language(data) if isinstance(data, Mapping) else None  # as Whisper and whisperX write it
    known = [replace(entry, language=entry.language or whole) for entry in entries if entry is not None]
    if values and all(states_milliseconds(value) for value in values):
        unit = "milliseconds"
    listed = EntryList(known, name=name, unit=unit, are_words=are_words or _look_like_words(values))
    if listed.are_words:
        text = data.get("text") if isinstance(data, Mapping) else None
        texts = punctuated([entry.text for entry in known], text=text if isinstance(text, str) else None)
        listed = replace(listed, entries=[replace(entry, text=word) for entry, word in zip(known, texts, strict=True)])
    return listed


def _plain(value: Any) -> Any:
    """Returns what an object of a client library (pydantic) holds; other values as they are."""
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else value


def _find(data: Any) -> tuple[list[Any], Unit | None, bool] | None:
    """Returns the entries, their unit, and whether each is one word."""
    if isinstance(data, Mapping):
        if isinstance(data.get("results"), Mapping):
            return _find(data["results"]) or _find_channel(data["results"])
        for key, unit in ENTRY_KEYS.items():
            if _is_list(data.get(key)):
                return list(data[key]), unit, False
        return (list(data["words"]), None, True) if _is_list(data.get("words")) else None
    if not _is_list(data):
        return None
    values = list(data)
    informed = [entry.get("sentence_info") for entry in values if isinstance(entry, Mapping)]
    if any(info is not None for info in informed):
        return [sentence for info in informed if _is_list(info) for sentence in info or ()], "milliseconds", False
    return (values, None, False) if all(not isinstance(entry, (str, bytes)) for entry in values) else None


def _find_channel(results: Mapping[str, Any]) -> tuple[list[Any], Unit | None, bool] | None:
    """Deepgram's words, where no utterances were asked for."""
    channels = results.get("channels")
    first = channels[0] if isinstance(channels, Sequence) and channels else None
    alternatives = first.get("alternatives") if isinstance(first, Mapping) else None
    return _find(alternatives[0]) if isinstance(alternatives, Sequence) and alternatives else None


def _is_list(value: Any) -> bool:
    return isinstance(value, (Sequence, Iterator)) and not isinstance(value, (str, bytes))


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) == 2


def _look_like_words(values: Sequence[Any]) -> bool:
    """Whether each chunk is one short word: transformers gives words and sentences in the same form."""
    marked = [value for value in values if isinstance(value, Mapping) and _is_pair(value.get("timestamp"))]
    texts = [words_of(value) for value in marked]
    if len(texts) < max(FEWEST_WORDS, len(values)) or any(len((text or "").split()) > 1 for text in texts):
        return False
    times = [(read_time(value["timestamp"][0]), read_time(value["timestamp"][1])) for value in marked]
    lengths = [end.value - start.value for start, end in times if start is not None and end is not None]
    return bool(lengths) and float(np.median(lengths)) < LONGEST_TYPICAL_WORD_SECONDS
