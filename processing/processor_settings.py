"""Validation of a processor's settings and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from .prompt_text import SPECIAL_TOKENS
from .reading_settings import ReadingSettings

UTTERANCE_MODES = ("utterance", "window", "clip")
TIMESTAMPS = ("fourier", "text", "none")


def check_choice(value: str, *, name: str, allowed: Sequence[str]) -> None:
    """Raises `ValueError` unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, allowed are {', '.join(allowed)}")


def check_counts(**counts: int) -> None:
    """Raises `ValueError` unless every count is at least 1."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} ({count}) must be >= 1")


def special_token_ids(tokenizer: Any) -> list[int]:
    """Returns the ids of `SPECIAL_TOKENS`; raises `ValueError` if the tokenizer lacks one."""
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in SPECIAL_TOKENS if token not in vocabulary]
    if missing:
        raise ValueError(
            f"tokenizer lacks {missing}; add them by "
            f'tokenizer.add_special_tokens({{"extra_special_tokens": {list(SPECIAL_TOKENS)}}})'
        )
    return [vocabulary[token] for token in SPECIAL_TOKENS]


def complete_reading_settings(given: Mapping[str, Any], *, face_size: int, sampling_rate: int) -> dict[str, Any]:
    """Returns all fields of `ReadingSettings`: the given ones, those set by the processor's parts, and defaults."""
    unknown = sorted(set(given) - {setting.name for setting in fields(ReadingSettings)})
    if unknown:
        raise ValueError(f"reading_settings has unknown names {unknown}; allowed are the fields of ReadingSettings")
    return asdict(ReadingSettings(**{"face_size": face_size, "sampling_rate": sampling_rate, **given}))
