"""Figures of explanations: whether they parse, are backed by evidence, right, and at one with the other outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from microemo.data.default_wheel import emotion_family, family_valence
from microemo.evaluation.explanation_reading import findings, raw_description
from microemo.evaluation.figures import Figure
from microemo.evaluation.labelled_parts import labelled_parts
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.inference.explanation.check import finding_family, is_backed
from microemo.inference.explanation.claims import read_claims, split_sentences
from microemo.inference.explanation.vocabulary import family_of
from microemo.inference.report.report import ClipSummary, UtteranceReport

STRONGEST_EMOTIONS = 2  # of the emotion head; the first label of an answer is expected among them
MIN_VALENCE = 0.1  # a valence nearer to 0 has no sign

Counts = tuple[float, float]  # how many it is true of (or the sum of a score), of how many


def explanation_figures(clips: Sequence[EvaluatedClip]) -> list[Figure]:
    """Means over answers, sentences or utterances of the clips drawn; none where no explanation was generated.

    - Answers that parse: of all answers, those about clips and those about utterances.
    - Sentences backed before, after the check: of the sentences about utterances, those that findings back.
    - Label F in wheel families: F1 of the answer's labels, over answers about what is labelled with emotions.
    - Utterances with a contradiction: see `has_contradiction`.
    """
    if not any(_answers(clip) for clip in clips):
        return []
    label_scores = _label_scores(clips)
    counts: dict[str, list[Counts]] = {
        "Answers that parse": [
            _share(answer.open_emotions is not None for answer in _answers(clip)) for clip in clips
        ],
        "Sentences backed before the check": [_backed(clip, raw_description) for clip in clips],
        "Sentences backed after the check": [_backed(clip, lambda part: part.description or "") for clip in clips],
        "Label F in wheel families": [(sum(scores), len(scores)) for scores in label_scores],
        "Utterances with a contradiction": [_share(map(has_contradiction, _explained(clip))) for clip in clips],
    }
    return [_figure(name, np.array(values)) for name, values in counts.items() if any(whole for _, whole in values)]


def has_contradiction(part: UtteranceReport) -> bool:
    """Whether the explanation of an utterance speaks against the report's other outputs. One of:

    - the family of its first label is that of neither of the two strongest emotions;
    - its labels are pleasant on balance and the valence is negative, or the other way round;
    - its text names an emotion of a family that no finding has.

    Words that the wheel does not know contradict nothing.
    """
    labels = [label for label in part.open_emotions or () if emotion_family(label) is not None]
    strongest = {family_of(score.label) for score in (part.emotions or ())[:STRONGEST_EMOTIONS]}
    if labels and strongest and family_of(labels[0]) not in strongest:
        return True
    balance = sum(family_valence()[family] for label in labels if (family := emotion_family(label)))
    if part.valence is not None and abs(part.valence) >= MIN_VALENCE and balance * part.valence < 0:
        return True
    known = {finding_family(finding) for finding in findings(part)}
    return any(family not in known for family in _named_families(part.description or ""))


def family_f1(labels: Iterable[str], *, reference: Iterable[str]) -> float | None:
    """F1 of the wheel families of two sets of labels; None where the wheel knows none of the reference's."""
    given, true = ({emotion_family(label) for label in each} - {None} for each in (labels, reference))
    return 2 * len(given & true) / (len(given) + len(true)) if true else None


def _answers(clip: EvaluatedClip) -> tuple[ClipSummary | UtteranceReport, ...]:
    parts: tuple[ClipSummary | UtteranceReport, ...] = (clip.report.summary, *clip.report.utterances)
    return tuple(part for part in parts if part.raw_answer is not None)


def _explained(clip: EvaluatedClip) -> Iterator[UtteranceReport]:
    return (part for part in clip.report.utterances if part.raw_answer is not None)


def _backed(clip: EvaluatedClip, text_of: Callable[[UtteranceReport], str]) -> Counts:
    """The sentences of each utterance against its own findings; its edges may be named as times."""
    return _share(
        is_backed(sentence, findings(part), (part.start_seconds, part.end_seconds))
        for part in _explained(clip)
        for sentence in split_sentences(text_of(part))
    )


def _label_scores(clips: Sequence[EvaluatedClip]) -> list[list[float]]:
    """F1 of each answer about what is labelled, by clip; an answer that does not parse has named nothing."""
    scores: list[list[float]] = [[] for _ in clips]
    for part in labelled_parts(clips):
        reference = part.targets.open_labels or part.targets.emotions
        score = family_f1(part.said.open_emotions or (), reference=reference)
        if part.said.raw_answer is not None and score is not None:
            scores[part.clip].append(score)
    return scores


def _named_families(text: str) -> Iterator[str]:
    for sentence in split_sentences(text):
        for claim in read_claims(sentence):
            if claim.kind == "emotion" and not claim.denied:
                yield claim.names[0]


def _share(results: Iterable[bool]) -> Counts:
    values = list(results)
    return sum(values), len(values)


def _figure(name: str, counts: np.ndarray) -> Figure:
    """counts (clips, 2): sums and how many they are taken over."""

    def statistic(chosen: np.ndarray) -> float:
        part, whole = counts[chosen].sum(axis=0)
        return float(part / whole) if whole else float("nan")

    return Figure(name, len(counts), statistic)
