"""Co-judgement: what face, voice and words show together, out of the evidence of each.

Each stream's evidence is an opinion over the families of the emotion wheel. Opinions are pooled as a weighted product
(log-linear pooling: Genest & Zidek 1986), so that a sure stream outweighs an unsure one and none decides alone. That a
stream is neutral says less than that it is not: a part of what it calls neutral counts as "cannot tell".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from microemo.data.default_wheel import emotion_family, family_valence
from microemo.data.emotion_words import load_lexicon
from microemo.processing.evidence import NEUTRAL, Evidence

FAMILIES = ("neutral", "joy", "surprise", "sadness", "anger", "disgust", "fear", "affection", "interest", "shame")
FAMILY_NUMBER = {family: number for number, family in enumerate(FAMILIES)}
# The family of an expression, or of the wheel, that is not one of these.
MERGED = {"happiness": "joy", "contempt": "disgust", "calm": "neutral"}
STREAMS = ("face", "voice", "words")
STREAM_WEIGHTS = {"face": 1.0, "voice": 0.8, "words": 0.8}
NEUTRAL_IS_UNKNOWN = {"face": 0.6, "voice": 0.7, "words": 0.8}  # of what a stream calls neutral
DOUBT = 0.12  # of every opinion
MICRO_MASS = 0.25  # of a micro-expression beside what lasts
MICRO_SHARE = 0.6  # of its certainty, with which the emotion head tells a micro-expression whatever lasts
CONFLICT_CERTAINTY = 0.45  # from which on two streams that differ disagree
# The closed class whose lexicon has words, valence and arousal for a family; families of words alone have their own.
LEXICON_CLASS = {
    "neutral": "neutral", "joy": "happiness", "surprise": "surprise", "sadness": "sadness", "anger": "anger",
    "disgust": "disgust", "fear": "fear",
}  # fmt: skip
AFFECT = {"affection": (0.6, 0.1), "interest": (0.1, 0.3), "shame": (-0.5, 0.1)}
MAIN_EMOTION = {"affection": "caring", "interest": "curiosity", "shame": "embarrassment"}  # others: the family's name


@dataclass(frozen=True)
class Judgement:
    """families: (10,) probabilities by `FAMILIES`, with the sum 1. leading: for each stream that says something, its
    strongest finding. conflict: the two streams that disagree most surely, None where all agree."""

    families: np.ndarray
    leading: Mapping[str, Evidence]
    conflict: tuple[str, str] | None

    @property
    def ranked(self) -> tuple[str, ...]:
        """The families, likeliest first."""
        order: Sequence[int] = np.argsort(-self.families, kind="stable").tolist()
        return tuple(FAMILIES[number] for number in order)

    def probability(self, family: str) -> float:
        """Of a family."""
        return float(self.families[FAMILY_NUMBER[family]])

    @property
    def valence_arousal(self) -> tuple[float, float]:
        """Expected, each in [-1, 1]; the share that all families have alike, which no stream tells, is neutral's.

        Most families are unpleasant: spread over them, "cannot tell" would make every calm face a little unhappy.
        """
        lexicon = load_lexicon()
        affect = [
            AFFECT[family]
            if family in AFFECT
            else (lexicon[LEXICON_CLASS[family]].valence, lexicon[LEXICON_CLASS[family]].arousal)
            for family in FAMILIES
        ]
        told = self.families - self.families.min()
        told[FAMILY_NUMBER[NEUTRAL]] += 1 - told.sum()
        valence, arousal = (told[:, None] * np.array(affect)).sum(0).tolist()
        return valence, arousal


def family_of(label: str) -> str | None:
    """The family of an expression or emotion, None where the wheel has none."""
    family = MERGED.get(label, emotion_family(label))
    return MERGED.get(family, family) if family else None


def co_judge(evidence: Iterable[Evidence]) -> Judgement:
    """What the evidence of one utterance shows, all streams together; neutral where there is none."""
    by_stream: dict[str, list[Evidence]] = {stream: [] for stream in STREAMS}
    for found in evidence:
        stream: str = "face" if found.kind == "micro_expression" else found.kind
        if stream in by_stream and found.label:
            by_stream[stream].append(found)
    pooled = np.zeros(len(FAMILIES))
    leading: dict[str, Evidence] = {}
    for name, findings in by_stream.items():
        if findings:
            pooled += STREAM_WEIGHTS[name] * np.log(_opinion(findings, stream=name))
            lasting = [found for found in findings if found.kind != "micro_expression"]
            leading[name] = max(lasting or findings, key=lambda found: found.certainty or 0.0)
    if not leading:
        pooled[FAMILY_NUMBER[NEUTRAL]] = 3.0
    masses = np.exp(pooled - pooled.max())
    return Judgement(masses / masses.sum(), leading, _conflict(leading))


def emotion_targets(judgement: Judgement, evidence: Sequence[Evidence], *, names: Sequence[str]) -> np.ndarray:
    """(E,) float32 probabilities for the emotion head: a family's falls on the emotions that the words name in it, or,
    where they name none, on its main one; the voice's own names (calm, boredom) on these."""
    named: dict[str, dict[str, float]] = {}
    for found in evidence:
        family = family_of(found.label) if found.kind in ("words", "voice") else None
        if family is not None and found.label in names:
            labels = named.setdefault(family, {})
            labels[found.label] = max(labels.get(found.label, 0.0), found.certainty or 0.0)
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
    for found in evidence:
        family = family_of(found.label) if found.kind == "micro_expression" and found.label else None
        if family is not None:
            column = names.index(MAIN_EMOTION.get(family, family))
            targets[column] = max(targets[column], MICRO_SHARE * (found.certainty or 0.0))
    return targets.clip(0, 1)


def sentiment(families: Iterable[str]) -> int:
    """1, -1 or 0: whether pleasant or unpleasant families prevail."""
    balance = sum(family_valence().get(family, 0) for family in families)
    return (balance > 0) - (balance < 0)


def _opinion(findings: Sequence[Evidence], *, stream: str) -> np.ndarray:
    """(10,) over the families, all above zero."""
    masses = np.zeros(len(FAMILIES))
    for found in findings:
        family = family_of(found.label)
        if family is None:
            continue
        share = MICRO_MASS if found.kind == "micro_expression" else 1.0
        masses[FAMILY_NUMBER[family]] += share * (0.5 if found.certainty is None else found.certainty)
    if masses.sum() < 1:  # what no finding covers is neutral in a face that was watched, and open elsewhere
        masses[FAMILY_NUMBER[NEUTRAL]] += (1 - masses.sum()) * (0.6 if stream == "face" else 0.3)
    masses /= max(masses.sum(), 1.0)
    neutral = masses[FAMILY_NUMBER[NEUTRAL]]
    masses[FAMILY_NUMBER[NEUTRAL]] = neutral * (1 - NEUTRAL_IS_UNKNOWN[stream])
    masses += (1 - masses.sum()) / len(FAMILIES)
    return (1 - DOUBT) * masses + DOUBT / len(FAMILIES)


def _conflict(leading: Mapping[str, Evidence]) -> tuple[str, str] | None:
    """Two streams that are sure of different families, of which at most one is neutral and both are not pleasant."""
    sure = {
        stream: family
        for stream, found in leading.items()
        if (found.certainty or 0.0) >= CONFLICT_CERTAINTY and (family := family_of(found.label)) is not None
    }
    pairs = [
        (first, second)
        for place, first in enumerate(sure)
        for second in list(sure)[place + 1 :]
        if sure[first] != sure[second] and sentiment([sure[first]]) * sentiment([sure[second]]) < 0
    ]
    return max(pairs, key=lambda pair: sum(leading[each].certainty or 0.0 for each in pair), default=None)
