"""Languages by Whisper's codes ("en", "zh"): the names people write, the language of a clip and that of a text."""

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
MIN_LETTERS = 30  # of a text whose language is identified; shorter ones are too often taken for another language
_LATIN_END = 0x250  # of the Latin letters in Unicode


def language_code(language: str | None, *, allowed: Iterable[str] = LANGUAGES) -> str | None:
    """Returns Whisper's code of a language written as a code ("de", "en-GB") or an English name ("german").

    Raises `ValueError` listing the codes in `allowed` for any other.
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
    """Returns the English name of a code, such as "Chinese"; the code itself where it has none."""
    return LANGUAGES.get(code, code).title()


def vote_for_language(
    probabilities: Sequence[Mapping[str, float]], *, seconds: Sequence[float]
) -> tuple[str, float] | None:
    """Returns the language of several stretches of speech and its probability; longer stretches weigh more."""
    total = sum(seconds)
    if not probabilities or total <= 0:
        return None
    votes: dict[str, float] = {}
    for scores, weight in zip(probabilities, seconds, strict=True):
        for code, probability in scores.items():
            votes[code] = votes.get(code, 0.0) + probability * weight / total
    return max(votes.items(), key=lambda vote: vote[1])


def main_language(utterances: Iterable[Utterance]) -> tuple[str, float | None] | None:
    """Returns the language that is spoken longest, and its mean probability (None where none was measured).

    Returns None where no utterance has a language.
    """
    known = [utterance for utterance in utterances if utterance.language is not None and utterance.text.strip()]
    if not known:
        return None
    seconds: dict[str, float] = {}
    for each in known:
        code = str(each.language)
        seconds[code] = seconds.get(code, 0.0) + each.end_seconds - each.start_seconds
    main = max(seconds, key=lambda code: seconds[code])
    heard = [
        (each.language_probability, each.end_seconds - each.start_seconds)
        for each in known
        if each.language == main and each.language_probability is not None
    ]
    total = sum(weight for _, weight in heard)
    return main, (sum(value * weight for value, weight in heard) / total if heard else None)


def text_language(text: str) -> str | None:
    """Returns the language of a text; None for one with fewer than `MIN_LETTERS` letters of the Latin alphabet."""
    if py3langid is None or (_is_latin(text) and sum(map(str.isalpha, text)) < MIN_LETTERS):
        return None
    if not any(map(str.isalpha, text)):
        return None
    return next((code for code, _ in py3langid.rank(text) if code in LANGUAGES), None)


def with_text_languages(utterances: Sequence[Utterance]) -> tuple[Utterance, ...]:
    """Returns the utterances of a transcript, each with a language where it can be told from the text.

    All words of one alphabet are identified together: a dialogue has many short lines and few languages.
    """
    unknown = [each for each in utterances if each.language is None]
    found: dict[bool, str | None] = {}
    for latin in (True, False):
        found[latin] = text_language(" ".join(each.text for each in unknown if _is_latin(each.text) is latin))
    return tuple(
        each if each.language is not None else _with_language(each, found[_is_latin(each.text)]) for each in utterances
    )


def _with_language(utterance: Utterance, language: str | None) -> Utterance:
    has_letters = any(map(str.isalpha, utterance.text))
    return replace(utterance, language=language) if language is not None and has_letters else utterance


def _is_latin(text: str) -> bool:
    letters = [character for character in text if character.isalpha()]
    return sum(ord(character) < _LATIN_END for character in letters) * 2 >= len(letters)
