"""Expands placeholder tokens: one placeholder in a prompt becomes the tokens of one or of all segments.

template with one placeholder per segment:  "...V ... [1] V<end> [2] V<end>"   each V -> K tokens
template with a single placeholder:         "V ... [1] <end> [2] <end>"        V -> 3 K tokens
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# transformers inserts this character before control tokens in user text (`sanitize_control_tokens=True`).
_USER_MARK = "\U000f0000"


def count_token(text: str, token: str) -> int:
    """Counts `token` in `text` as a token, not as text written by a user."""
    return len(re.findall(f"(?<!{_USER_MARK}){re.escape(token)}", text))


def count_windows(frames: int, *, stride: int) -> int:
    """Number of sliding windows over `frames` frames, at least one: ceil(frames / stride)."""
    return max(1, -(-frames // stride))


def spread_placeholders(
    texts: Sequence[str], *, token: str, tokens_per_segment: int, segments: Sequence[int]
) -> list[str]:
    """Returns the replacement of each placeholder of `texts`, in order; per text, the tokens of all segments.

    Args:
        texts: prompts.
        token: the placeholder, also the token that replaces it.
        tokens_per_segment: K.
        segments: number of segments of each text's clip.

    Raises:
        ValueError: a text has neither one placeholder nor one per segment.
    """
    replacements: list[str] = []
    for text, count in zip(texts, segments, strict=True):
        placeholders = count_token(text, token)
        if placeholders not in (0, 1, count):
            raise ValueError(f"a prompt has {placeholders} {token} for {count} segments; allowed are 1 and {count}")
        if placeholders:
            replacements += [token * (tokens_per_segment * count // placeholders)] * placeholders
    return replacements


def check_utterance_counts(texts: Sequence[str], utterance_times: Sequence[Sequence] | None, *, token: str) -> None:
    """Raises `ValueError` unless every prompt has one `token` per utterance."""
    prompt_counts = [count_token(text, token) for text in texts]
    time_counts = [0] * len(texts) if utterance_times is None else [len(times) for times in utterance_times]
    if prompt_counts != time_counts:
        raise ValueError(
            f"the prompts have {prompt_counts} {token}, utterance_times has the times of {time_counts} utterances"
        )
