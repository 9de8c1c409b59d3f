"""Explanations of synthetic clips: evidence from the known truth, put into sentences by `evidence_text`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.data.action_units import LABELS
from microemo.processing.evidence import MAX_SIGNS, NEUTRAL, NO_FACE, Evidence
from microemo.processing.evidence_text import evidence_sentence, relation_sentence
from microemo.synthesis.video.performance import PlannedEvent
from microemo.synthesis.voice.speech import TONES

AGREEMENT_SHARE = 0.6  # share of agreeing micro-expressions whose agreement is mentioned
NUM_FORMS = 6  # a common multiple of the numbers of sentence forms

Span = tuple[float, float]


def event_evidence(planned: PlannedEvent) -> Evidence:
    """Evidence of a facial expression, with its strongest action units as signs."""
    event = planned.event
    strongest = [LABELS[index] for index in np.argsort(-planned.shares, kind="stable").tolist()]
    return Evidence(
        "micro_expression" if event.kind == "micro" else "face",
        event.emotion,
        event.onset_seconds,
        event.offset_seconds,
        apex_seconds=event.apex_seconds if event.kind == "micro" else None,
        signs=tuple(unit for unit in strongest if unit in event.units)[:MAX_SIGNS],
    )


def true_face_evidence(events: Sequence[PlannedEvent], *, span: Span, on_screen: bool) -> tuple[Evidence, ...]:
    """Evidence of the face during an utterance: its events, else a neutral face; no face for a speaker off screen."""
    if not on_screen:
        return (Evidence("scene", NO_FACE, *span),)
    return tuple(event_evidence(planned) for planned in events) or (Evidence("face", NEUTRAL, *span),)


def true_voice_evidence(emotion: str, *, span: Span, is_synthetic: bool) -> Evidence:
    """Evidence of the voice. The manner of speaking is known of synthetic voices only."""
    return Evidence("voice", emotion, *span, signs=TONES[emotion].manner if is_synthetic else ())


def true_words_evidence(emotion: str, *, span: Span) -> Evidence:
    """Evidence of the words."""
    return Evidence("words", emotion, *span)


def reasons(evidence: Sequence[Evidence], *, span: Span, rng: np.random.Generator) -> list[str]:
    """One sentence for each piece of evidence, then one on agreement or conflict with a micro-expression."""
    sentences = [evidence_sentence(each, span=span, form=int(rng.integers(NUM_FORMS))) for each in evidence]
    relation = micro_expression_relation(evidence)
    if relation is not None:
        micro, other = relation
        agree = micro.label == other.label
        if not agree or rng.random() < AGREEMENT_SHARE:
            sentences.append(relation_sentence(micro, other, agree=agree, form=int(rng.integers(NUM_FORMS))))
    return sentences


def micro_expression_relation(evidence: Sequence[Evidence]) -> tuple[Evidence, Evidence] | None:
    """A micro-expression and the first emotional voice or words that it agrees or conflicts with.

    None if the face has a macro-expression as well, as a statement about "the face" would then be ambiguous.
    """
    if any(each.kind == "face" and each.label != NEUTRAL for each in evidence):
        return None
    micro = next((each for each in evidence if each.kind == "micro_expression"), None)
    other = next((each for each in evidence if each.kind in ("voice", "words") and each.label != NEUTRAL), None)
    return None if micro is None or other is None else (micro, other)
