"""A question in plain English as a value that code can answer, or `UnparsedQuestion`.

    "How often does she smile while he speaks?"
     asks=count     who  target      condition: who, target

Every word must be understood: one that is neither a question word, a target, a person, a number nor a filler makes the
question unparsed, so that code never answers half of a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from microemo.inference.report.report_events import EventKind
from microemo.processing.facial_actions import FACIAL_ACTIONS

Asks = Literal["count", "duration", "when", "type", "units", "whether"]

PRONOUNS = {
    **dict.fromkeys(("she", "her", "hers"), "she"),
    **dict.fromkeys(("he", "his", "him"), "he"),
    **dict.fromkeys(("they", "their", "them"), "they"),
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
LAST = -1
_FILLER_WORDS = (
    "a an the is are was were be been being do does did has have had there in of on to at it this that shown show "
    "shows showing present visible occur occurs occurred happen happens happened active involved any anyone anybody "
    "someone person subject face facial video clip total altogether all time times expressed expresses"
)
FILLERS = frozenset(_FILLER_WORDS.split())

# How a question begins -> what it asks. The first that fits counts.
_ASKS: tuple[tuple[Asks, str], ...] = (
    ("count", r"how often|how many times|how many|(what is )?the (total )?number of"),
    ("duration", r"for how long|how long|how much time"),
    ("units", r"(what|which) action units?|(what|which) aus?\b"),
    ("type", r"(what|which) (types?|kinds?|emotions?)( of)?"),
    ("type", r"what (is|are|was|were) the (types?|kinds?|emotions?|expressions?) of"),
    ("when", r"when|at (what|which) times?|what (is|are) the (times?|onset|apex|offset)( times?)? of"),
    ("type", r"(what|which)(?= (is|was|are|were)? ?(the )?(\w+ )?(micro|macro|facial|expression))"),
    ("whether", r"does|do|did|is|are|was|were|has|have"),
)  # fmt: skip
_EXPRESSIONS = {
    "happiness": "happiness|happy", "surprise": "surprised?", "sadness": "sadness|sad", "anger": "anger|angry",
    "disgust": "disgust(ed)?", "fear": "fear|afraid", "contempt": "contempt(uous)?", "neutral": "neutral",
}  # fmt: skip
_MOVEMENTS = (
    (("AU12",), r"smil(e|es|ed|ing)"),
    (("AU4",), r"frown(s|ed|ing)?"),
    (("AU45",), r"blink(s|ed|ing)?|closed? (her|his|their) eyes"),
    (("AU1", "AU2"), r"rais(e|es|ed|ing) (her |his |their )?(eye)?brows?"),
    (("AU26",), r"open(s|ed)? (her|his|their) mouth"),
)
_KINDS: tuple[tuple[tuple[EventKind, ...], str], ...] = (
    (("micro_expression",), r"micro[ -]?expressions?"),
    (("macro_expression",), r"macro[ -]?expressions?"),
    (("macro_expression", "micro_expression"), r"(facial )?expressions?"),
    (("words",), r"utterances?|sentences?|(speak|talk)(s|ing|ed)?|spoke|says?|said"),
    (("action_unit",), r"action units?"),
)
_BETWEEN = re.compile(r"\bbetween (\d+(?:\.\d+)?) ?s? and (\d+(?:\.\d+)?) ?(?:s|sec|seconds)?\b")
_CONDITION = re.compile(r"\b(?:while|whilst|during|as|when)\b")


class UnparsedQuestion(ValueError):
    """A question that code does not understand."""


@dataclass(frozen=True)
class Target:
    """What is looked for: events of these kinds, with one of these labels where there are any."""

    kinds: tuple[EventKind, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """When it counts: while another event goes on (the n-th of its kind), or between two times in seconds."""

    target: Target | None = None
    who: str | None = None
    ordinal: int | None = None
    between: tuple[float, float] | None = None


@dataclass(frozen=True)
class Question:
    """What is asked of which events.

    who: a pronoun of `PRONOUNS`, a speaker's name, "face 2", or None for anybody. ordinal: from 1, `LAST`, or None.
    """

    asks: Asks
    target: Target
    who: str | None = None
    ordinal: int | None = None
    condition: Condition | None = None


def parse_question(text: str, *, speakers: Sequence[str] = ()) -> Question:
    """The question in `text`. Raises `UnparsedQuestion` that names what is not understood.

    Args:
        speakers: names that people may be called by.
    """
    words = _Words(re.sub(r"[?!.,;]+(?=\s|$)", "", " ".join(text.lower().split())))
    between = words.take(_BETWEEN.pattern)
    match = next(((asks, found) for asks, pattern in _ASKS if (found := words.take(rf"^(?:{pattern})\b"))), None)
    if match is None:
        raise UnparsedQuestion(f"question must begin with how often, how long, when, which, is, ..., got {text!r}")
    asks = match[0]
    split = _CONDITION.search(words.text)
    condition = None
    if split is not None:
        condition = _condition(_Words(words.text[split.end() :]), speakers=speakers, text=text)
        words = _Words(words.text[: split.start()])
    if between is not None:
        if condition is not None:
            raise UnparsedQuestion(f"question may have one condition, got two in {text!r}")
        condition = Condition(between=(float(between[1]), float(between[2])))
    ordinal, target = words.ordinal(), words.target()
    if target is None and asks == "units":
        target = Target(("action_unit",))
    who = words.person(speakers)
    words.check_empty(text)
    if target is None:
        raise UnparsedQuestion(f"question names nothing that a report holds, got {text!r}")
    return Question(asks, target, who, ordinal, condition)


def is_parsed(text: str) -> bool:
    """Whether code understands a question whoever the speakers are."""
    try:
        parse_question(text)
    except UnparsedQuestion:
        return False
    return True


def _condition(words: _Words, *, speakers: Sequence[str], text: str) -> Condition:
    ordinal, target, who = words.ordinal(), words.target(), words.person(speakers)
    words.check_empty(text)
    if target is None:
        raise UnparsedQuestion(f"question has a condition that names nothing a report holds, got {text!r}")
    return Condition(target, who, ordinal)


class _Words:
    """The words of a question that are not understood yet."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()

    def take(self, pattern: str) -> re.Match[str] | None:
        """The first place that a pattern fits, which is understood from now on."""
        match = re.search(pattern, self.text)
        if match is not None:
            self.text = f"{self.text[: match.start()]} {self.text[match.end() :]}".strip()
        return match

    def ordinal(self) -> int | None:
        match = self.take(rf"\b(?:(\d+)(?:st|nd|rd|th)|({'|'.join(ORDINALS)})|last)\b")
        if match is None:
            return None
        if match[1]:
            return int(match[1])
        return ORDINALS.index(match[2]) + 1 if match[2] else LAST

    def target(self) -> Target | None:
        unit = self.take(r"\bau ?0?(\d+)\b")
        if unit is not None:
            return Target(("action_unit",), (f"AU{unit[1]}",))
        for action in FACIAL_ACTIONS:
            if self.take(rf"\b{action.name}s?\b"):
                return Target(("action_unit",), (action.label,))
        for labels, pattern in _MOVEMENTS:
            if self.take(rf"\b(?:{pattern})\b"):
                return Target(("action_unit",), labels)
        kinds = next((kinds for kinds, pattern in _KINDS if self.take(rf"\b(?:{pattern})\b")), None)
        if kinds is not None and "macro_expression" not in kinds and "micro_expression" not in kinds:
            return Target(kinds)
        label = next((name for name, pattern in _EXPRESSIONS.items() if self.take(rf"\b(?:{pattern})\b")), None)
        if kinds is None and label is None:
            return None
        return Target(kinds or ("macro_expression",), () if label is None else (label,))

    def person(self, speakers: Sequence[str]) -> str | None:
        for name in sorted(speakers, key=len, reverse=True):
            if self.take(rf"(?<!\w){re.escape(name.lower())}(?!\w)"):
                return name
        face = self.take(r"\b(?:face|person|track) (\d+)\b")
        if face is not None:
            return f"face {face[1]}"
        pronoun = self.take(rf"\b(?:{'|'.join(PRONOUNS)})\b")
        return None if pronoun is None else PRONOUNS[pronoun[0]]

    def check_empty(self, text: str) -> None:
        unknown = [word for word in self.text.split() if word not in FILLERS]
        if unknown:
            raise UnparsedQuestion(
                f"question has words that code does not understand ({', '.join(unknown)}): {text!r}"
            )
