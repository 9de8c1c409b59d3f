"""Emotion wheels: map words to nodes of a wheel (OV-MER, MER-UniBench, MER2025, MER2026).

A word is mapped in three steps: surface form -> base words ("happily" -> "happy") -> wheel words of which they are
synonyms ("cheery" -> "cheerful", "happy") -> node of a wheel at level 1 (family) or level 2. If a step has several
results, the alphabetically first is used, so that a word has a unique node. Words that cannot be mapped are dropped;
`neutral` is on no official wheel and is always dropped with these.
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
        wheel: number of the wheel, from 1; only for M3.
        level: 1 or 2; only for M3.
    """

    stage: Stage
    wheel: int | None = None
    level: int | None = None

    def __post_init__(self) -> None:
        if self.stage not in ("form", "synonym", "wheel"):
            raise ValueError(f"stage ({self.stage!r}) must be 'form', 'synonym' or 'wheel'")
        if (self.stage == "wheel") != (self.wheel is not None) or (self.stage == "wheel") != (self.level is not None):
            raise ValueError(
                f"wheel ({self.wheel}) and level ({self.level}) must be given for stage 'wheel' and only for it"
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
    """One wheel: maps its words to nodes at level 1 and at level 2."""

    level1: Mapping[str, str]
    level2: Mapping[str, str]

    def nodes(self, *, level: int) -> tuple[str, ...]:
        """Returns the nodes of a level in alphabetical order."""
        return tuple(sorted(set((self.level1 if level == 1 else self.level2).values())))


@dataclass(frozen=True)
class EmotionWheels:
    """Wheels with the word lists that map to them.

    Args:
        name: name in reports of figures.
        bases: surface form -> base words.
        wheel_words: base word -> wheel words of which it is a synonym (a wheel word is a synonym of itself).
        wheels: wheel 1, wheel 2, ...
    """

    name: str
    bases: Mapping[str, tuple[str, ...]]
    wheel_words: Mapping[str, tuple[str, ...]]
    wheels: tuple[Wheel, ...]

    def map_label(self, label: str, *, rule: Rule) -> str | None:
        """Maps a label by the rule, ignoring letter case and outer blanks; None if it is dropped."""
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
        """Maps labels by the rule, without those that are dropped."""
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

    At level 2, a level-1 word maps to its alphabetically first level-2 child. If a word occurs several times, the last
    occurrence wins; families and their children are processed in the order of their first rows.
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
