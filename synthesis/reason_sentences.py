"""Which channel each sentence of an explanation speaks of, so that one can be told without what is hidden.

Only sentences of this package's own forms are known: what people wrote is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from string import Formatter

from .explanation import (
    AGREES,
    EVEN_VOICE_FORMS,
    LEAKS,
    MACRO_FORMS,
    MICRO_FORMS,
    PLAIN_WORDS_FORMS,
    STILL_FACE_FORMS,
    UNSEEN_FORMS,
    VOICE_FORMS,
    WORDS_FORMS,
)

NO_FACE = "No face is seen."
ACTED_VOICE_FORM = "The voice sounds of {noun}."
_FIELDS = {"quote": r'[^"]*', "noun": r"[a-z]+", "sound": r"[a-z ,-]+", "movements": r"[a-z ,-]+"}
_FIELDS |= {"Movements": r"[A-Z][a-z ,-]+"} | dict.fromkeys(("onset", "apex", "offset"), r"\d+\.\d+")
_SPAN = r"(?P<span>From \d+\.\d+ to \d+\.\d+ s: )?"


def _pattern(form: str) -> str:
    parts = [re.escape(text) + (_FIELDS[name] if name else "") for text, name, *_ in Formatter().parse(form)]
    return "".join(parts)


def _any(forms: Collection[str], *, tail: str = "") -> str:
    return f"(?:{'|'.join(map(_pattern, forms))}){tail}"


_JUDGEMENT = _any([*filter(None, AGREES), *LEAKS])
_FACE = f"{_any([*MACRO_FORMS, *STILL_FACE_FORMS, *UNSEEN_FORMS])}|{_any(MICRO_FORMS, tail=f'(?:{_JUDGEMENT})?')}"
_VOICE, _WORDS = _any([*VOICE_FORMS, *EVEN_VOICE_FORMS, ACTED_VOICE_FORM]), _any([*WORDS_FORMS, *PLAIN_WORDS_FORMS])
_SENTENCE = re.compile(f"{_SPAN}(?:(?P<face>{_FACE})|(?P<voice>{_VOICE})|(?P<words>{_WORDS}))(?: |$)")


def told_without(reasons: str, *, hidden: Collection[str]) -> str | None:
    """The reasons without the sentences of hidden channels; None where a sentence is not known.

    Args:
        hidden: of "face", "voice" and "words". Of a hidden face it is said, once, that none is seen.
    """
    told, span, position = [], "", 0
    while position < len(reasons):
        match = _SENTENCE.match(reasons, position)
        if match is None:
            return None
        position, span = match.end(), match["span"] or span
        channel = match.lastgroup if match.lastgroup != "span" else None
        if channel not in hidden:
            told.append(span + match.group()[len(match["span"] or "") :].rstrip())
            span = ""
    return " ".join(([NO_FACE] if "face" in hidden else []) + told)
