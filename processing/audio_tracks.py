"""Selects a file's audio track: the requested one, the one in the requested language, or the default one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# ISO 639-1 -> ISO 639-2 codes (terminological and bibliographic), as containers carry them.
LANGUAGES = {
    "ar": "ara", "bg": "bul", "bn": "ben", "bs": "bos", "ca": "cat", "cs": "ces cze", "cy": "cym wel", "da": "dan",
    "de": "deu ger", "el": "ell gre", "en": "eng", "es": "spa", "et": "est", "eu": "eus baq", "fa": "fas per",
    "fi": "fin", "fr": "fra fre", "gl": "glg", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "hy": "hye arm",
    "id": "ind", "is": "isl ice", "it": "ita", "ja": "jpn", "ka": "kat geo", "kk": "kaz", "ko": "kor", "lt": "lit",
    "lv": "lav", "mk": "mkd mac", "ms": "msa may", "nl": "nld dut", "no": "nor nob nno", "pl": "pol", "pt": "por",
    "ro": "ron rum", "ru": "rus", "sk": "slk slo", "sl": "slv", "sq": "sqi alb", "sr": "srp", "sv": "swe",
    "sw": "swa", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl fil", "tr": "tur", "uk": "ukr", "ur": "urd",
    "vi": "vie", "yue": "yue", "zh": "zho chi cmn",
}  # fmt: skip
SECONDARY_DISPOSITIONS = ("comment", "visual_impaired", "descriptions", "karaoke")  # of tracks other than the main one
UNINFORMATIVE = ("und", "SoundHandler")  # written by muxers by default


def choose_audio_track(tracks: Sequence[Any], *, number: int | None = None, language: str | None = None) -> int:
    """Index, from 0, of the audio stream to use; 0 if there is none.

    Args:
        tracks: audio streams of a PyAV container.
        number: requested track; takes precedence.
        language: requested language, such as "en": the first track in it, default tracks first.

    Without either, the file's default track is used, else the first one; commentary comes last. Raises `ValueError`
    for a
    number that the file does not have.
    """
    if number is not None:
        if not 0 <= number < len(tracks):
            available = f"it has {len(tracks)}, numbered from 0" if tracks else "it has none"
            raise ValueError(f"audio_track must be one of the file's audio tracks ({available}), got {number}")
        return number
    if not tracks:
        return 0
    order = sorted(
        range(len(tracks)), key=lambda index: (_is_secondary(tracks[index]), not _is_default(tracks[index]), index)
    )
    if language is not None:
        matching = [index for index in order if _is_in(tracks[index], language)]
        order = matching or order
    return order[0]


def audio_track_note(tracks: Sequence[Any], *, number: int) -> str:
    """Note about which of several tracks was used, with its metadata."""
    track = tracks[number]
    metadata = [track.language, track.metadata.get("title"), track.metadata.get("handler_name")]
    details = [mark for mark in metadata if mark and mark not in UNINFORMATIVE] + (
        ["default"] if _is_default(track) else []
    )
    named = f" ({', '.join(details)})" if details else ""
    return f"of {len(tracks)} audio tracks, number {number}{named} was used; audio_track selects another, from 0"


def _is_default(track: Any) -> bool:
    return "default" in _dispositions(track)


def _is_secondary(track: Any) -> bool:
    return not _dispositions(track).isdisjoint(SECONDARY_DISPOSITIONS)


def _dispositions(track: Any) -> set[str]:
    return {flag.name for flag in type(track.disposition) if flag and flag in track.disposition}


def _is_in(track: Any, language: str) -> bool:
    code = language.lower().split("-")[0]
    track_language = (track.language or "").lower()
    return track_language == code or track_language in LANGUAGES.get(code, "").split()
