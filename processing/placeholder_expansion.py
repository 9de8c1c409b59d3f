"""How many placeholder tokens stand where: one placeholder in a prompt becomes the tokens of one or of all segments.

a template that names every segment:  "...V ... [1] V<end> [2] V<end>"   each V -> K tokens
a template with one place for all:    "V ... [1] <end> [2] <end>"        V -> 3 K tokens
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# transformers puts this character before a control token that a user wrote (`sanitize_control_tokens=True`).
_USER_MARK = "\U000f0000"


def count_token(text: str, token: str) -> int:
    """Returns how often `token` stands in `text` as a token, not as words that a user wrote."""
    return len(re.findall(f"(?<!{_USER_MARK}){re.escape(token)}", text))


def count_windows(frames: int, *, stride: int) -> int:
    """Returns the number of sliding windows over `frames` frames, at least one: ceil(frames / stride)."""
    return max(1, -(-frames // stride))


def spread_placeholders(
    texts: Sequence[str], *, token: str, tokens_per_segment: int, segments: Sequence[int]
) -> list[str]:
    """Returns what replaces each placeholder of `texts`, in order: together one run of tokens for every segment.

    Args:
        texts: Prompts.
        token: The placeholder, also the token that it is replaced with.
        tokens_per_segment: K.
        segments: How many segments the clip of each text has.

    Raises:
        ValueError: A text has neither one placeholder nor one for each segment.
    """
    replacements: list[str] = []
    for text, count in zip(texts, segments, strict=True):
        places = count_token(text, token)
        if places not in (0, 1, count):
            raise ValueError(f"a prompt has {places} {token} for {count} segments; allowed are 1 and {count}")
        if places:
            replacements += [token * (tokens_per_segment * count // places)] * places
    return replacements


def check_utterance_counts(texts: Sequence[str], utterance_times: Sequence[Sequence] | None, *, token: str) -> None:
    """Raises `ValueError` unless every prompt has one `token` for each of its utterances."""
    named = [count_token(text, token) for text in texts]
    timed = [0] * len(texts) if utterance_times is None else [len(times) for times in utterance_times]
    if named != timed:
        raise ValueError(f"the prompts have {named} {token}, utterance_times has the times of {timed} utterances")
