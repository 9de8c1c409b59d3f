"""Emotion wheels: which node of which wheel a word belongs to (OV-MER, MER-UniBench, MER2025, MER2026).

A word goes up in three steps: surface form -> base words ("happily" -> "happy") -> wheel words they are synonyms of
("cheery" -> "cheerful", "happy") -> node of one wheel at level 1 (family) or level 2. Where a step has several ends,
the alphabetically first is taken, so that a word always has one node. A word that does not arrive is dropped from its
set; `neutral` lies on no official wheel, so it is always dropped there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

WheelRow = tuple[str, str, str]  # level 1, level 2, level 3, each lower case
Stage = Literal["form", "synonym", "wheel"]


@dataclass(frozen=True)
class Rule:
    """One way of mapping a label: M1 (base word), M2 (wheel word) or M3 (node of a wheel at a level).

    Args:
        stage: "form" is M1, "synonym" is M2, "wheel" is M3.
        wheel: number of the wheel, from 1; for M3 only.
        level: 1 or 2; for M3 only.
    """

    stage: Stage
    wheel: int | None = None
    level: int | None = None

    def __post_init__(self) -> None:
        if self.stage not in ("form", "synonym", "wheel"):
            raise ValueError(f"stage ({self.stage!r}) must be 'form', 'synonym' or 'wheel'")
        if (self.stage == "wheel") != (self.wheel is not None) or (self.stage == "wheel") != (self.level is not None):
            raise ValueError(
                f"wheel ({self.wheel}) and level ({self.level}) must be given for stage 'wheel', only there"
            )
        if self.level not in (None, 1, 2):
            raise ValueError(f"level ({self.level}) must be 1 or 2")

    def __str__(self) -> str:
        if self.stage == "wheel":
            return f"M3-W{self.wheel}-L{self.level}"
        return "M1" if self.stage == "form" else "M2"


M1 = Rule("form")
M2 = Rule("synonym")


@dataclass(frozen=True)
class Wheel:
    """One wheel: each of its words -> its node at level 1 and at level 2."""

    level1: Mapping[str, str]
    level2: Mapping[str, str]

    def nodes(self, *, level: int) -> tuple[str, ...]:
        """Returns the nodes of a level in alphabetical order."""
        return tuple(sorted(set((self.level1 if level == 1 else self.level2).values())))


@dataclass(frozen=True)
class EmotionWheels:
    """Wheels with the two word lists that lead to them.

    Args:
        name: what the figures are reported under.
        bases: surface form -> base words.
        wheel_words: base word -> wheel words it is a synonym of (a wheel word is one of its own).
        wheels: wheel 1, wheel 2, ...
    """

    name: str
    bases: Mapping[str, tuple[str, ...]]
    wheel_words: Mapping[str, tuple[str, ...]]
    wheels: tuple[Wheel, ...]

    def map_label(self, label: str, *, rule: Rule) -> str | None:
        """Returns where the rule takes a label, letter case and outer blanks ignored; None where it drops it."""
        bases = sorted(self.bases.get(label.lower().strip(), ()))
        if not bases:
            return None
        if rule.stage == "form":
            return bases[0]
        if rule.stage == "synonym":
            return min(self.wheel_words.get(bases[0], ()), default=None)
        words = sorted(word for base in bases for word in self.wheel_words.get(base, ()))
        nodes = self._nodes(rule)
        return next((nodes[word] for word in words if word in nodes), None)

    def map_labels(self, labels: Iterable[str], *, rule: Rule) -> set[str]:
        """Returns the set of where the labels go; dropped ones are not in it."""
        return {node for label in labels if (node := self.map_label(label, rule=rule)) is not None}

    def wheel_rules(self, *, level: int) -> tuple[Rule, ...]:
        """Returns the M3 rules of a level, one for each wheel."""
        return tuple(Rule("wheel", wheel=number, level=level) for number in range(1, len(self.wheels) + 1))

    def all_rules(self) -> tuple[Rule, ...]:
        """Returns M1, M2, then level 1 and level 2 of each wheel: the columns of OV-MER's table."""
        pairs = zip(self.wheel_rules(level=1), self.wheel_rules(level=2), strict=True)
        return (M1, M2, *(rule for pair in pairs for rule in pair))

    def _nodes(self, rule: Rule) -> Mapping[str, str]:
        number = rule.wheel or 0
        if number < 1 or number > len(self.wheels):
            raise ValueError(f"rule ({rule}) must name one of the wheels 1 to {len(self.wheels)}")
        wheel = self.wheels[number - 1]
        return wheel.level1 if rule.level == 1 else wheel.level2


def wheel_from_rows(rows: Iterable[WheelRow]) -> Wheel:
    """Returns the wheel of its (level 1, level 2, level 3) rows.

    A level-1 word goes to its alphabetically first level-2 child at level 2. Where a word stands in several places,
    the place read last wins; reading goes family by family in the order of their first rows, children likewise.
    """
    tree: dict[str, dict[str, list[str]]] = {}
    for first, second, third in rows:
        tree.setdefault(first, {}).setdefault(second, []).append(third)
    level1: dict[str, str] = {}
    level2: dict[str, str] = {}
    for first, children in tree.items():
        level1[first] = first
        level2[first] = min(children)
        for second, leaves in children.items():
            for word in (second, *leaves):
                level1[word] = first
                level2[word] = second
    return Wheel(level1=level1, level2=level2)
