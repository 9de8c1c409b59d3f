"""Which original tensors make which of ours, decided by a table of rules before any weight is read.

Several original tensors may meet in one of ours, each as a part of its own: a matrix and its LoRA factors, the biases
of queries and of values. A key that no rule knows, or that leads to nothing, is an error and never dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

WHOLE = "whole"  # the part of an original tensor which is taken as it is
KEYS_IN_AN_ERROR = 8  # enough to see what is wrong


@dataclass(frozen=True)
class KeyRule:
    r"""Original keys that `pattern` matches as a whole become `target`, where \1, \2 ... are the pattern's groups."""

    pattern: str
    target: str
    part: str = WHOLE


@dataclass(frozen=True)
class IgnoreRule:
    """Original keys that `pattern` matches as a whole are left behind, for a stated reason."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class ConversionPlan:
    """What becomes of every original key.

    recipes: for each of our keys the original key of each of its parts. missing: our keys that nothing leads to, in
    the model's order. ignored: original keys that are left behind, with the reason.
    """

    recipes: dict[str, dict[str, str]]
    missing: tuple[str, ...]
    ignored: dict[str, str]


def plan_conversion(
    keys: Iterable[str], *, targets: Collection[str], rules: Sequence[KeyRule], ignore_rules: Sequence[IgnoreRule]
) -> ConversionPlan:
    """Returns the plan for these original keys and these keys of ours.

    Raises `ValueError` that names the keys which no rule knows, which lead to a tensor that the model does not have,
    or of which two claim to be the same part of one tensor.
    """
    recipes: dict[str, dict[str, str]] = {}
    ignored: dict[str, str] = {}
    unknown, homeless, claimed_twice = [], [], []
    for key in keys:
        reason = next((rule.reason for rule in ignore_rules if re.fullmatch(rule.pattern, key)), None)
        if reason is not None:
            ignored[key] = reason
            continue
        match = next((found for rule in rules if (found := target_of(key, rule=rule))), None)
        if match is None:
            unknown.append(key)
            continue
        target, part = match
        parts = recipes.setdefault(target, {})
        if target not in targets:
            homeless.append(f"{key} -> {target}")
        if part in parts:
            claimed_twice.append(f"{parts[part]}, {key} -> {target}")
        parts[part] = key
    refuse(unknown, "known to no rule")
    refuse(homeless, "for tensors that the configured model does not have")
    refuse(claimed_twice, "claimed twice")
    missing = tuple(target for target in targets if target not in recipes)
    return ConversionPlan(recipes=recipes, missing=missing, ignored=ignored)


def target_of(key: str, *, rule: KeyRule) -> tuple[str, str] | None:
    """Returns our key and the part that `key` is of it, None where the rule does not match."""
    match = re.fullmatch(rule.pattern, key)
    return None if match is None else (match.expand(rule.target), rule.part)


def original_keys(target: str, *, rules: Sequence[KeyRule]) -> dict[str, str]:
    """Returns the original keys that would make our key `target`: for each part the one of its first rule.

    The rules are read backwards, so their patterns may hold groups and literal text alone.
    """
    found: dict[str, str] = {}
    for rule in rules:
        original = _backwards(target, rule=rule)
        if original is not None and rule.part not in found and target_of(original, rule=rule) == (target, rule.part):
            found[rule.part] = original
    return found


def _backwards(target: str, *, rule: KeyRule) -> str | None:
    template = re.sub(r"\\\\(\d)", r"(?P<group\1>.+?)", re.escape(rule.target))
    match = re.fullmatch(template, target)
    if match is None:
        return None
    values = {int(name.removeprefix("group")): value for name, value in match.groupdict().items()}
    numbers = iter(range(1, 10))
    literal = re.sub(r"\(\?:[^()]*\)\?", "", rule.pattern)  # what may be missing
    filled = re.sub(r"\([^()]*\)", lambda _: values.get(next(numbers), ""), literal)
    return filled.replace("\\.", ".")


def refuse(keys: Sequence[str], reason: str) -> None:
    """Raises `ValueError` that names the keys, the first ones of many, unless there are none."""
    if keys:
        more = f" and {len(keys) - KEYS_IN_AN_ERROR} more" if len(keys) > KEYS_IN_AN_ERROR else ""
        raise ValueError(f"{len(keys)} original keys are {reason}: {', '.join(keys[:KEYS_IN_AN_ERROR])}{more}")
