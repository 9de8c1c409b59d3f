"""What several judges say of one clip, put together by families of the emotion wheel.

A family's share is the weight of the judges that name it, of the weight of all that judged. Families above half are
the majority. A clip is kept where judges agree; the others go to a person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from microemo.data.default_wheel import emotion_family
from microemo.data.example import writable_labels

MAJORITY = 0.5  # a kept family's share must be above it


@dataclass(frozen=True)
class Vote:
    """One judge's labels of a clip, the strongest first. error: why it could not judge; then it has no labels."""

    judge: str
    labels: tuple[str, ...] = ()
    description: str = ""
    error: str = ""

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Family -> its labels; labels that the wheel does not know are in none."""
        found: dict[str, list[str]] = {}
        for label in writable_labels(self.labels):
            family = emotion_family(label)
            if family is not None:
                found.setdefault(family, []).append(label)
        return {family: tuple(labels) for family, labels in found.items()}


@dataclass(frozen=True)
class Rules:
    """When a clip needs no person.

    weights: of judges, 1 where none is named. min_agreement, max_entropy: see `Decision`. min_judges: that named a
    family.
    """

    weights: Mapping[str, float] | None = None
    min_agreement: float = 0.5
    max_entropy: float = 0.9
    min_judges: int = 2

    def __post_init__(self) -> None:
        for name in ("min_agreement", "max_entropy"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be between 0 and 1")
        if self.min_judges < 1:
            raise ValueError(f"min_judges ({self.min_judges}) must be >= 1")
        wrong = {judge: weight for judge, weight in (self.weights or {}).items() if not 0 < weight < math.inf}
        if wrong:
            raise ValueError(f"weights must be > 0, got {wrong}")

    def weight(self, judge: str) -> float:
        """Of a judge."""
        return (self.weights or {}).get(judge, 1.0)


@dataclass(frozen=True)
class Decision:
    """labels: of the majority's families. shares: family -> its share, the largest first.

    agreement: mean overlap (intersection over union) of the families of two judges, over all pairs; 1 for one judge.
    entropy: mean uncertainty of a family's share in bits: 0 where all judges name it, 1 where half of them do.
    reason: why a person must look at the clip, "" where it is kept.
    """

    labels: tuple[str, ...]
    shares: Mapping[str, float]
    agreement: float
    entropy: float
    reason: str

    @property
    def is_kept(self) -> bool:
        """Whether no person is needed."""
        return not self.reason


def decide(votes: Sequence[Vote], *, rules: Rules = Rules()) -> Decision:  # noqa: B008  frozen
    """The decision on one clip; each judge may be there once."""
    names = [vote.judge for vote in votes]
    if len(set(names)) < len(names):
        raise ValueError(f"votes must be of different judges, got {names}")
    judged = [vote for vote in votes if vote.families]
    total = sum(rules.weight(vote.judge) for vote in judged)
    shares: dict[str, float] = {}
    for vote in judged:
        for family in vote.families:
            shares[family] = shares.get(family, 0.0) + rules.weight(vote.judge) / total
    shares = dict(sorted(shares.items(), key=lambda item: -item[1]))  # ties stay in the order of the judges
    majority = [family for family, share in shares.items() if share > MAJORITY]
    labels = tuple(label for family in majority for label in _words(judged, family, rules=rules))
    agreement = _agreement(judged)
    entropy = sum(map(_entropy, shares.values())) / len(shares) if shares else 0.0
    reason = ""
    if len(judged) < rules.min_judges:
        reason = f"{len(judged)} of {len(votes)} judges named an emotion, {rules.min_judges} are needed"
    elif not majority:
        reason = "no family of emotions has a majority"
    elif agreement < rules.min_agreement:
        reason = f"agreement {agreement:.2f} is below {rules.min_agreement:g}"
    elif entropy > rules.max_entropy:
        reason = f"entropy {entropy:.2f} is above {rules.max_entropy:g}"
    return Decision(labels, shares, agreement, entropy, reason)


def _words(votes: Sequence[Vote], family: str, *, rules: Rules) -> tuple[str, ...]:
    """The word of a family with the most weight, and others that two judges use."""
    weights: dict[str, float] = {}
    users: dict[str, int] = {}
    for vote in votes:
        for label in vote.families.get(family, ()):
            weights[label] = weights.get(label, 0.0) + rules.weight(vote.judge)
            users[label] = users.get(label, 0) + 1
    ranked = sorted(weights, key=lambda label: -weights[label])
    return tuple(label for place, label in enumerate(ranked) if place == 0 or users[label] > 1)


def _agreement(votes: Sequence[Vote]) -> float:
    pairs = [(set(one.families), set(other.families)) for one, other in combinations(votes, 2)]
    return sum(len(one & other) / len(one | other) for one, other in pairs) / len(pairs) if pairs else 1.0


def _entropy(share: float) -> float:
    share = min(share, 1.0)  # a sum of parts may exceed 1 by rounding
    return sum(-part * math.log2(part) for part in (share, 1 - share) if part > 0)
