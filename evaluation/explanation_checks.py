"""What can be checked of an explanation's text: when something happened on the face, and whether there is one.

The sentences are those that `microemo.synthesis.explanation` writes and the model learns; others are read as far as
they use the same words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Point = Literal["onset", "apex"]

NEAR_SECONDS = 0.25  # a named time within this of the true one has found the event

_NUMBER = r"(\d+(?:\.\d+)?)"
_POINTS: tuple[tuple[Point, re.Pattern[str]], ...] = (
    ("apex", re.compile(rf"\bat {_NUMBER} s\b", re.IGNORECASE)),
    ("onset", re.compile(rf"\bfrom {_NUMBER} s\b", re.IGNORECASE)),
    ("onset", re.compile(rf"\bbetween {_NUMBER} and {_NUMBER} s\b", re.IGNORECASE)),
)
# What people say is no statement about the picture.
_QUOTED = re.compile(r'"[^"]*"')
_NOT_IN_PICTURE = re.compile(r"\b(?:no|without a|not see(?:n|ing)? (?:the|a)) face\b", re.IGNORECASE)
_FACE_WORDS = re.compile(
    r"\b(?:face|facial|expressions?|micro-expressions?|brows?|eyebrows?|eyes?|eyelids?|lids?|cheeks?|nose|mouth|lips?|"
    r"chin|jaw|smil(?:e|es|ing)|frown(?:s|ing)?|grin(?:s|ning)?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NamedMoment:
    """A time in a text and which point of an event it names."""

    seconds: float
    point: Point


def named_moments(text: str) -> tuple[NamedMoment, ...]:
    """The moments of events that a text names, in order of the text.

    - "at 1.8 s": the apex.
    - "from 1.2 s on", "between 1.2 and 2.5 s": the onset.

    Durations ("for only 0.20 s"), ends ("until 2.5 s"), the spans of utterances ("From 0.4 to 2.9 s: ...") and what
    is quoted name none.

    >>> named_moments("From 0.4 to 2.9 s: At 1.8 s the nose wrinkles for only 0.20 s.")
    (NamedMoment(seconds=1.8, point='apex'),)
    """
    unquoted = _QUOTED.sub('""', text)
    found = [
        (match.start(), NamedMoment(float(match[1]), point))
        for point, pattern in _POINTS
        for match in pattern.finditer(unquoted)
    ]
    return tuple(moment for _, moment in sorted(found, key=lambda entry: entry[0]))


def is_near_event(
    moment: NamedMoment, *, events: Iterable[tuple[float, float]], tolerance_seconds: float = NEAR_SECONDS
) -> bool:
    """Whether the point that a moment names lies near that of a true event.

    Args:
        events: (onset, apex) of each, seconds.
    """
    times = (onset if moment.point == "onset" else apex for onset, apex in events)
    return any(abs(moment.seconds - time) <= tolerance_seconds for time in times)


def describes_face(text: str) -> bool:
    """Whether a text says how a face looks or moves; that there is none to see is no description, quotes are none.

    >>> describes_face('The words "keep a straight face" are factual.'), describes_face("The brows go up.")
    (False, True)
    """
    return _FACE_WORDS.search(_NOT_IN_PICTURE.sub(" ", _QUOTED.sub(" ", text))) is not None
