"""Spoken languages by Whisper's codes ("en", "zh"): parsing of names, and the language of clips and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

from .clip import Utterance

try:
    import py3langid
except ImportError:
    py3langid = None

ENGLISH = "en"
MIN_LETTERS = 30  # of a text to be identified; shorter ones are often misidentified
_LATIN_END = 0x250  # end of the Latin letters in Unicode


def language_code(language: str | None, *, allowed: Iterable[str] = LANGUAGES) -> str | None:
    """Returns Whisper's code of a language given as a code ("de", "en-GB") or an English name ("german").

    Raises `ValueError` with the codes in `allowed` for any other.
    """
    if language is None:
        return None
    name = language.strip().lower()
    code = TO_LANGUAGE_CODE.get(name, name.replace("_", "-").split("-")[0])
    codes = sorted(allowed)
    if code not in codes:
        names = ", ".join(f"{known} ({LANGUAGES.get(known, known)})" for known in codes)
        raise ValueError(f"language must be a code or an English name of: {names}; got {language!r}")
    return code


def language_name(code: str) -> str:
    """Returns the English name of a code, such as "Chinese"; the code itself if it has none."""
    return LANGUAGES.get(code, code).title()


def vote_for_language(
    probabilities: Sequence[Mapping[str, float]], *, seconds: Sequence[float]
) -> tuple[str, float] | None:
    """Returns the language of several segments of speech and its probability, weighted by duration."""
    total = sum(seconds)
    if not probabilities or total <= 0:
        return None
    votes: dict[str, float] = {}
    for scores, weight in zip(probabilities, seconds, strict=True):
        for code, probability in scores.items():
            votes[code] = votes.get(code, 0.0) + probability * weight / total
    return max(votes.items(), key=lambda vote: vote[1])


def main_language(utterances: Iterable[Utterance]) -> tuple[str, float | None] | None:
    """Returns the language with the most speech, and its mean probability (None if not measured).

    Returns None if no utterance has a language.
    """
    with_language = [
        utterance for utterance in utterances if utterance.language is not None and utterance.text.strip()
    ]
    if not with_language:
        return None
    seconds: dict[str, float] = {}
    for each in with_language:
        code = str(each.language)
        seconds[code] = seconds.get(code, 0.0) + each.end_seconds - each.start_seconds
    main = max(seconds, key=lambda code: seconds[code])
    measured = [
        (each.language_probability, each.end_seconds - each.start_seconds)
        for each in with_language
        if each.language == main and each.language_probability is not None
    ]
    total = sum(weight for _, weight in measured)
    return main, (sum(value * weight for value, weight in measured) / total if measured else None)


def text_language(text: str) -> str | None:
    """Returns the language of a text; None for Latin script with fewer than `MIN_LETTERS` letters."""
    if py3langid is None or (_is_latin(text) and sum(map(str.isalpha, text)) < MIN_LETTERS):
        return None
    if not any(map(str.isalpha, text)):
        return None
    return next((code for code, _ in py3langid.rank(text) if code in LANGUAGES), None)


def with_text_languages(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Returns a transcript's utterances with languages identified from their text, where possible.

    All words of one script are identified together, since a dialogue has many short lines but few languages.
    """
    unknown = [each for each in utterances if each.language is None]
    languages: dict[bool, str | None] = {}
    for latin in (True, False):
        languages[latin] = text_language(" ".join(each.text for each in unknown if _is_latin(each.text) is latin))
    return tuple(
        each if each.language is not None else _with_language(each, languages[_is_latin(each.text)])
        for each in utterances
    )


def _with_language(utterance: Utterance, language: str | None) -> Utterance:
    has_letters = any(map(str.isalpha, utterance.text))
    return replace(utterance, language=language) if language is not None and has_letters else utterance


def _is_latin(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return sum(ord(character) < _LATIN_END for character in letters) * 2 >= len(letters)
