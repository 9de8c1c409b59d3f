"""Target answers for evidence: labels from the co-judgement, reasons from the evidence verbaliser."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from microemo.data.emotion_words import GOEMOTIONS_ADJECTIVES, load_lexicon, strength_of
from microemo.processing.emotion_parsing import format_emotions
from microemo.processing.evidence import NEUTRAL, Evidence
from microemo.processing.evidence_text import evidence_sentence, relation_sentence
from microemo.training.language.co_judgement import (
    LEXICON_CLASS,
    MAIN_EMOTION,
    Judgement,
    co_judge,
    family_of,
)

MAX_SENTENCES = 4
SECOND_FAMILY = 0.22  # minimum probability of a second family that gets a label
AGREEMENT_SHARE = 0.35  # share of answers that mention that streams agree


def open_labels(judgement: Judgement, evidence: Sequence[Evidence], *, rng: np.random.Generator) -> tuple[str, ...]:
    """Up to three emotion words for a judgement, the most probable family first."""
    first, second = judgement.ranked[:2]
    labels = list(_words(first, judgement, evidence, rng=rng, count=2))
    if judgement.probability(second) >= SECOND_FAMILY:
        labels += _words(second, judgement, evidence, rng=rng, count=1)
    return tuple(dict.fromkeys(labels))


def utterance_answer(
    evidence: Sequence[Evidence], *, span: tuple[float, float], offset: float, rng: np.random.Generator
) -> str:
    """The target answer about one utterance."""
    judgement = co_judge(evidence)
    sentences = _reasons(evidence, judgement, span=span, offset=offset, rng=rng)
    return format_emotions(open_labels(judgement, evidence, rng=rng), " ".join(sentences[:MAX_SENTENCES]))


def clip_answer(evidence: Sequence[Sequence[Evidence]], *, offset: float, rng: np.random.Generator) -> str:
    """The target answer about a clip: labels of its mean judgement, and its most relevant evidence in time order."""
    if len(evidence) == 1:
        (findings,) = evidence
        span = (
            min((finding.start_seconds for finding in findings), default=0.0),
            max((finding.end_seconds for finding in findings), default=0.0),
        )
        return utterance_answer(findings, span=span, offset=offset, rng=rng)
    judgements = [co_judge(findings) for findings in evidence]
    families = np.mean([judgement.families for judgement in judgements], axis=0)
    clip_judgement = Judgement(families, {}, None)
    pairs = [
        (finding, judgement) for findings, judgement in zip(evidence, judgements, strict=True) for finding in findings
    ]
    most_relevant = sorted(pairs, key=lambda pair: -_relevance(*pair))[:MAX_SENTENCES]
    selected = list(dict.fromkeys(finding for finding, _ in most_relevant))
    selected.sort(key=lambda finding: finding.start_seconds)
    sentences = [evidence_sentence(finding, offset=offset, form=int(rng.integers(6))) for finding in selected]
    labels = open_labels(clip_judgement, [finding for findings in evidence for finding in findings], rng=rng)
    return format_emotions(labels, " ".join(dict.fromkeys(sentences)))


def _relevance(finding: Evidence, judgement: Judgement) -> float:
    """Relevance of a piece of evidence: its certainty, higher for emotions that are probable and not neutral."""
    family = family_of(finding.label) if finding.label else None
    certainty = 0.5 if finding.certainty is None else finding.certainty
    return certainty * (0.5 if family in (None, NEUTRAL) else 1 + judgement.probability(family))


def _reasons(
    evidence: Sequence[Evidence],
    judgement: Judgement,
    *,
    span: tuple[float, float],
    offset: float,
    rng: np.random.Generator,
) -> list[str]:
    """Sentences on the evidence of each stream, then on agreement or conflict between streams."""
    by_kind: dict[str, list[Evidence]] = {}
    for finding in evidence:
        stream = "face" if finding.kind in ("micro_expression", "scene") else finding.kind
        by_kind.setdefault(stream, []).append(finding)
    streams = [stream for stream in ("face", "voice", "words") if stream in by_kind]
    if rng.random() < 0.3:
        rng.shuffle(streams)
    sentences: list[str] = []
    for stream in streams:
        findings = by_kind[stream]
        macro = [finding for finding in findings if finding.kind != "micro_expression"]
        micro = [finding for finding in findings if finding.kind == "micro_expression"]
        for finding in [*macro[: 2 if stream == "face" else 1], *micro[:1]]:
            sentences.append(evidence_sentence(finding, offset=offset, span=span, form=int(rng.integers(6))))
    sentences = sentences[:MAX_SENTENCES]
    if judgement.conflict is not None:
        first, second = (judgement.leading[stream] for stream in judgement.conflict)
        conflict = relation_sentence(first, second, agree=False, form=int(rng.integers(6)))
        sentences = [*sentences[: MAX_SENTENCES - 1], conflict]
    elif rng.random() < AGREEMENT_SHARE and len(sentences) < MAX_SENTENCES:
        families = {stream: family_of(finding.label) for stream, finding in judgement.leading.items()}
        agreeing = [pair for pair in combinations(families, 2) if families[pair[0]] == families[pair[1]]]
        if agreeing:
            first, second = (judgement.leading[stream] for stream in agreeing[int(rng.integers(len(agreeing)))])
            sentences.append(relation_sentence(first, second, agree=True, form=int(rng.integers(6))))
    return sentences or ["Nothing is seen or heard that tells an emotion."]


def _words(
    family: str, judgement: Judgement, evidence: Sequence[Evidence], *, rng: np.random.Generator, count: int
) -> Sequence[str]:
    """Words of a family: adjectives of the emotions found in the text, and lexicon words of matching strength."""
    named = [
        GOEMOTIONS_ADJECTIVES[finding.label]
        for finding in evidence
        if finding.kind == "words" and finding.label in GOEMOTIONS_ADJECTIVES and family_of(finding.label) == family
    ]
    in_family = [adjective for adjective in named if family_of(adjective) == family]
    if family not in LEXICON_CLASS:
        return (in_family or [GOEMOTIONS_ADJECTIVES[MAIN_EMOTION[family]]])[:count]
    # The lexicon's strong words for neutral, such as "impassive", do not fit a confident neutral judgement.
    strength = "medium" if family == NEUTRAL else strength_of(judgement.probability(family))
    lexicon = load_lexicon()[LEXICON_CLASS[family]].labels[strength]
    drawn = [str(word) for word in rng.permutation([word for word in lexicon if family_of(word) == family])]
    if family == NEUTRAL:
        return ("neutral", *[word for word in drawn if word != "neutral"])[:count]
    mixed = [*in_family[:1], *drawn] if rng.random() < 0.5 else [*drawn[:1], *in_family, *drawn[1:]]
    return list(dict.fromkeys(mixed))[:count]
