"""Format of written answers: a formatter (for training targets) and a parser.

Emotions: happy, relieved.
Reason: The mouth corners rise at 1.8 s and the voice brightens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_LABEL_LENGTH = 40  # characters; longer text is a sentence, not a label
LABELS_MARK = "Emotions:"
LABELS_SEPARATOR = ","
REASON_MARK = "Reason:"

_ANSWER = re.compile(
    rf"\s*{LABELS_MARK}[ \t]*(?P<labels>[^\n]+?)\.?[ \t]*(?:\n\s*{REASON_MARK}\s*(?P<reason>.+?))?\s*", re.DOTALL
)
_LABEL = re.compile(r"[^\W\d_][\w' -]*", re.UNICODE)


@dataclass(frozen=True)
class ParsedEmotions:
    """A parsed answer. If `is_parsed` is False, the text broke the format and only `raw` is set."""

    labels: tuple[str, ...]
    description: str
    raw: str
    is_parsed: bool


def format_emotions(labels: Sequence[str], description: str = "") -> str:
    """Returns an answer that `parse_emotions` can read.

    Raises `ValueError` for labels that could not be parsed.
    """
    cleaned = [" ".join(label.lower().split()) for label in labels]
    broken = [label for label in cleaned if not _is_label(label)]
    if broken or not cleaned:
        raise ValueError(f"labels must be one or more short words without punctuation, got {list(labels)}")
    text = f"{LABELS_MARK} {f'{LABELS_SEPARATOR} '.join(dict.fromkeys(cleaned))}."
    return f"{text}\n{REASON_MARK} {description.strip()}" if description.strip() else text


def parse_emotions(text: str) -> ParsedEmotions:
    """Returns labels (lower case, unique, in order) and description of an answer. Strict; `raw` is kept."""
    match = _ANSWER.fullmatch(text)
    labels = [" ".join(label.lower().split()) for label in match["labels"].split(LABELS_SEPARATOR)] if match else []
    if match is None or not all(_is_label(label) for label in labels):
        return ParsedEmotions(labels=(), description="", raw=text, is_parsed=False)
    description = (match["reason"] or "").strip()
    return ParsedEmotions(tuple(dict.fromkeys(labels)), description, raw=text, is_parsed=True)


def _is_label(label: str) -> bool:
    return len(label) <= MAX_LABEL_LENGTH and _LABEL.fullmatch(label) is not None
