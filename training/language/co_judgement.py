"""Co-judgement: one distribution over emotion families from the evidence of face, voice and words.

Each stream's evidence is a distribution over the families of the emotion wheel. The distributions are combined by
log-linear pooling (Genest & Zidek 1986), so that a confident stream outweighs an uncertain one. As a neutral stream is
weaker evidence than an emotional one, a part of its neutral probability is spread over all families.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from microemo.data.default_wheel import emotion_family, family_valence
from microemo.data.emotion_words import load_lexicon
from microemo.processing.evidence import NEUTRAL, Evidence

FAMILIES = ("neutral", "joy", "surprise", "sadness", "anger", "disgust", "fear", "affection", "interest", "shame")
FAMILY_NUMBER = {family: number for number, family in enumerate(FAMILIES)}
# Labels and wheel families that are merged into one of `FAMILIES`.
MERGED = {"happiness": "joy", "contempt": "disgust", "calm": "neutral"}
STREAMS = ("face", "voice", "words")
STREAM_WEIGHTS = {"face": 1.0, "voice": 0.8, "words": 0.8}
NEUTRAL_IS_UNKNOWN = {"face": 0.6, "voice": 0.7, "words": 0.8}  # share of the neutral probability that is spread
DOUBT = 0.12  # share of every distribution that is uniform
MICRO_MASS = 0.25  # weight of a micro-expression relative to a macro-expression
MICRO_SHARE = 0.6  # minimum target of a micro-expression's emotion, as a share of its certainty
CONFLICT_CERTAINTY = 0.45  # minimum certainty of two streams in conflict
# Lexicon class with words, valence and arousal of a family. Families that only words express have values of their own.
LEXICON_CLASS = {
    "neutral": "neutral", "joy": "happiness", "surprise": "surprise", "sadness": "sadness", "anger": "anger",
    "disgust": "disgust", "fear": "fear",
}  # fmt: skip
AFFECT = {"affection": (0.6, 0.1), "interest": (0.1, 0.3), "shame": (-0.5, 0.1)}
MAIN_EMOTION = {"affection": "caring", "interest": "curiosity", "shame": "embarrassment"}  # others: the family's name


@dataclass(frozen=True)
class Judgement:
    """The joint judgement of all streams.

    Args:
        families: (10,) probabilities in the order of `FAMILIES`.
        leading: the strongest evidence of each stream that has any.
        conflict: the two streams that disagree with the highest certainty; None if all agree.
    """

    families: np.ndarray
    leading: Mapping[str, Evidence]
    conflict: tuple[str, str] | None

    @property
    def ranked(self) -> tuple[str, ...]:
        """The families by decreasing probability."""
        order: Sequence[int] = np.argsort(-self.families, kind="stable").tolist()
        return tuple(FAMILIES[number] for number in order)

    def probability(self, family: str) -> float:
        """Probability of a family."""
        return float(self.families[FAMILY_NUMBER[family]])

    @property
    def valence_arousal(self) -> tuple[float, float]:
        """Expected valence and arousal, each in [-1, 1].

        The uniform part of the distribution counts as neutral. Most families have negative valence, so that
        uncertainty would otherwise lower the valence of every calm face.
        """
        lexicon = load_lexicon()
        affect = [
            AFFECT[family]
            if family in AFFECT
            else (lexicon[LEXICON_CLASS[family]].valence, lexicon[LEXICON_CLASS[family]].arousal)
            for family in FAMILIES
        ]
        masses = self.families - self.families.min()
        masses[FAMILY_NUMBER[NEUTRAL]] += 1 - masses.sum()
        valence, arousal = (masses[:, None] * np.array(affect)).sum(0).tolist()
        return valence, arousal


def family_of(label: str) -> str | None:
    """Family of an expression or emotion label; None if the wheel does not have it."""
    family = MERGED.get(label, emotion_family(label))
    return MERGED.get(family, family) if family else None


def co_judge(evidence: Iterable[Evidence]) -> Judgement:
    """Judges the evidence of one utterance; without evidence the judgement is neutral."""
    by_stream: dict[str, list[Evidence]] = {stream: [] for stream in STREAMS}
    for finding in evidence:
        stream: str = "face" if finding.kind == "micro_expression" else finding.kind
        if stream in by_stream and finding.label:
            by_stream[stream].append(finding)
    pooled = np.zeros(len(FAMILIES))
    leading: dict[str, Evidence] = {}
    for name, findings in by_stream.items():
        if findings:
            pooled += STREAM_WEIGHTS[name] * np.log(_stream_distribution(findings, stream=name))
            macro = [finding for finding in findings if finding.kind != "micro_expression"]
            leading[name] = max(macro or findings, key=lambda finding: finding.certainty or 0.0)
    if not leading:
        pooled[FAMILY_NUMBER[NEUTRAL]] = 3.0
    masses = np.exp(pooled - pooled.max())
    return Judgement(masses / masses.sum(), leading, _conflict(leading))


def emotion_targets(judgement: Judgement, evidence: Sequence[Evidence], *, names: Sequence[str]) -> np.ndarray:
    """Targets (E,) float32 of the emotion head.

    A family's probability is assigned to those of its emotions that words or voice name, else to its main emotion.
    """
    named: dict[str, dict[str, float]] = {}
    for finding in evidence:
        family = family_of(finding.label) if finding.kind in ("words", "voice") else None
        if family is not None and finding.label in names:
            labels = named.setdefault(family, {})
            labels[finding.label] = max(labels.get(finding.label, 0.0), finding.certainty or 0.0)
    targets = np.zeros(len(names), np.float32)
    for family in FAMILIES:
        probability = judgement.probability(family)
        main = MAIN_EMOTION.get(family, family)
        labels = (
            {main: 0.5, **named.get(family, {})} if family not in MAIN_EMOTION else named.get(family) or {main: 0.5}
        )
        strongest = max(labels.values())
        for label, certainty in labels.items():
            if label in names:
                targets[names.index(label)] = probability * certainty / strongest
    for finding in evidence:
        family = family_of(finding.label) if finding.kind == "micro_expression" and finding.label else None
        if family is not None:
            column = names.index(MAIN_EMOTION.get(family, family))
            targets[column] = max(targets[column], MICRO_SHARE * (finding.certainty or 0.0))
    return targets.clip(0, 1)


def sentiment(families: Iterable[str]) -> int:
    """Sign of the summed valence of families: 1, -1 or 0."""
    balance = sum(family_valence().get(family, 0) for family in families)
    return (balance > 0) - (balance < 0)


def _stream_distribution(findings: Sequence[Evidence], *, stream: str) -> np.ndarray:
    """Distribution (10,) of a stream over the families, strictly positive."""
    masses = np.zeros(len(FAMILIES))
    for finding in findings:
        family = family_of(finding.label)
        if family is None:
            continue
        weight = MICRO_MASS if finding.kind == "micro_expression" else 1.0
        masses[FAMILY_NUMBER[family]] += weight * (0.5 if finding.certainty is None else finding.certainty)
    if masses.sum() < 1:  # the remainder is mostly neutral for a face that was observed, less so for other streams
        masses[FAMILY_NUMBER[NEUTRAL]] += (1 - masses.sum()) * (0.6 if stream == "face" else 0.3)
    masses /= max(masses.sum(), 1.0)
    neutral = masses[FAMILY_NUMBER[NEUTRAL]]
    masses[FAMILY_NUMBER[NEUTRAL]] = neutral * (1 - NEUTRAL_IS_UNKNOWN[stream])
    masses += (1 - masses.sum()) / len(FAMILIES)
    return (1 - DOUBT) * masses + DOUBT / len(FAMILIES)


def _conflict(leading: Mapping[str, Evidence]) -> tuple[str, str] | None:
    """The two most certain streams whose families have opposite valence; None if there are none."""
    certain = {
        stream: family
        for stream, finding in leading.items()
        if (finding.certainty or 0.0) >= CONFLICT_CERTAINTY and (family := family_of(finding.label)) is not None
    }
    pairs = [
        (first, second)
        for first, second in combinations(certain, 2)
        if sentiment([certain[first]]) * sentiment([certain[second]]) < 0
    ]
    return max(pairs, key=lambda pair: sum(leading[stream].certainty or 0.0 for stream in pair), default=None)
