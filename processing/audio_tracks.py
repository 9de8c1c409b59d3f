"""Which of a file's audio tracks is heard: the one that was asked for, the wanted language, or the default one."""

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
ASIDES = ("comment", "visual_impaired", "descriptions", "karaoke")  # dispositions of tracks that are not the film's
UNTOLD = ("und", "SoundHandler")  # what muxers write where nobody said anything


def choose_audio_track(tracks: Sequence[Any], *, number: int | None = None, language: str | None = None) -> int:
    """The number, from 0, of the audio stream to hear; 0 where there is none.

    Args:
        tracks: the audio streams of a PyAV container.
        number: of the track that was asked for; it wins.
        language: of the speech that is wanted, such as "en": the first track in it, the default one before others.

    Without either it is the track that the file calls its default, else the first; commentary comes last. Raises
    `ValueError` for a number that the file does not have.
    """
    if number is not None:
        if not 0 <= number < len(tracks):
            have = f"it has {len(tracks)}, numbered from 0" if tracks else "it has none"
            raise ValueError(f"audio_track must be one of the file's audio tracks ({have}), got {number}")
        return number
    if not tracks:
        return 0
    order = sorted(range(len(tracks)), key=lambda each: (_is_aside(tracks[each]), not _is_default(tracks[each]), each))
    if language is not None:
        spoken = [each for each in order if _is_in(tracks[each], language)]
        order = spoken or order
    return order[0]


def audio_track_note(tracks: Sequence[Any], *, number: int) -> str:
    """Which of several tracks was heard, with what the file says of it."""
    track = tracks[number]
    said = [track.language, track.metadata.get("title"), track.metadata.get("handler_name")]
    marks = [mark for mark in said if mark and mark not in UNTOLD] + (["default"] if _is_default(track) else [])
    named = f" ({', '.join(marks)})" if marks else ""
    return f"of {len(tracks)} audio tracks, number {number}{named} was heard; audio_track names another, from 0"


def _is_default(track: Any) -> bool:
    return "default" in _dispositions(track)


def _is_aside(track: Any) -> bool:
    return not _dispositions(track).isdisjoint(ASIDES)


def _dispositions(track: Any) -> set[str]:
    return {flag.name for flag in type(track.disposition) if flag and flag in track.disposition}


def _is_in(track: Any, language: str) -> bool:
    wanted = language.lower().split("-")[0]
    stored = (track.language or "").lower()
    return stored == wanted or stored in LANGUAGES.get(wanted, "").split()
