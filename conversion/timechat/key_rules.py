"""Plans a conversion with a table of key rules, before any weight is read.

Several original tensors may be combined into one target tensor as different parts: a matrix and its LoRA factors, the
biases of queries and of values. Keys that match no rule or no tensor of the model are errors.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

WHOLE = "whole"  # part name of a tensor that is copied unchanged
KEYS_IN_AN_ERROR = 8  # keys that an error message lists


@dataclass(frozen=True)
class KeyRule:
    r"""Maps original keys that fully match `pattern` to `target`, where \1, \2 ... are groups of the pattern."""

    pattern: str
    target: str
    part: str = WHOLE


@dataclass(frozen=True)
class IgnoreRule:
    """Ignores original keys that fully match `pattern`, for a stated reason."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class ConversionPlan:
    """The use of every original key.

    Args:
        recipes: for each target key the original key of each of its parts.
        missing: target keys without an original key, in the model's order.
        ignored: ignored original keys with the reason.
    """

    recipes: dict[str, dict[str, str]]
    missing: tuple[str, ...]
    ignored: dict[str, str]


def plan_conversion(
    keys: Iterable[str], *, targets: Collection[str], rules: Sequence[KeyRule], ignore_rules: Sequence[IgnoreRule]
) -> ConversionPlan:
    """Returns the plan for the original keys and the target keys of the model.

    Raises:
        ValueError: with the names of keys that match no rule, whose target the model does not have, or that are the
            same part of one target.
    """
    recipes: dict[str, dict[str, str]] = {}
    ignored: dict[str, str] = {}
    unknown, without_target, claimed_twice = [], [], []
    for key in keys:
        reason = next((rule.reason for rule in ignore_rules if re.fullmatch(rule.pattern, key)), None)
        if reason is not None:
            ignored[key] = reason
            continue
        match = next((matched for rule in rules if (matched := target_of(key, rule=rule))), None)
        if match is None:
            unknown.append(key)
            continue
        target, part = match
        parts = recipes.setdefault(target, {})
        if target not in targets:
            without_target.append(f"{key} -> {target}")
        if part in parts:
            claimed_twice.append(f"{parts[part]}, {key} -> {target}")
        parts[part] = key
    refuse(unknown, "known to no rule")
    refuse(without_target, "for tensors that the configured model does not have")
    refuse(claimed_twice, "claimed twice")
    missing = tuple(target for target in targets if target not in recipes)
    return ConversionPlan(recipes=recipes, missing=missing, ignored=ignored)


def target_of(key: str, *, rule: KeyRule) -> tuple[str, str] | None:
    """Returns the target key and part of `key`, None if the rule does not match."""
    match = re.fullmatch(rule.pattern, key)
    return None if match is None else (match.expand(rule.target), rule.part)


def original_keys(target: str, *, rules: Sequence[KeyRule]) -> dict[str, str]:
    """Returns the original keys of `target`: for each part that of the first matching rule.

    The rules are inverted, so their patterns may only have groups and literal text.
    """
    originals: dict[str, str] = {}
    for rule in rules:
        key = _inverted(target, rule=rule)
        if key is not None and rule.part not in originals and target_of(key, rule=rule) == (target, rule.part):
            originals[rule.part] = key
    return originals


def _inverted(target: str, *, rule: KeyRule) -> str | None:
    template = re.sub(r"\\\\(\d)", r"(?P<group\1>.+?)", re.escape(rule.target))
    match = re.fullmatch(template, target)
    if match is None:
        return None
    values = {int(name.removeprefix("group")): value for name, value in match.groupdict().items()}
    numbers = iter(range(1, 10))
    literal = re.sub(r"\(\?:[^()]*\)\?", "", rule.pattern)  # without optional groups
    filled = re.sub(r"\([^()]*\)", lambda _: values.get(next(numbers), ""), literal)
    return filled.replace("\\.", ".")


def refuse(keys: Sequence[str], reason: str) -> None:
    """Raises `ValueError` with the first of the keys, unless there are none."""
    if keys:
        more = f" and {len(keys) - KEYS_IN_AN_ERROR} more" if len(keys) > KEYS_IN_AN_ERROR else ""
        raise ValueError(f"{len(keys)} original keys are {reason}: {', '.join(keys[:KEYS_IN_AN_ERROR])}{more}")
