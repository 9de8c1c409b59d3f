"""Figures of explanations: whether they parse, are supported by evidence, and agree with labels and other outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from microemo.data.default_wheel import emotion_family, family_valence
from microemo.evaluation.figures import Figure
from microemo.evaluation.prediction_store import EvaluatedClip
from microemo.evaluation.scored_utterances import scored_utterances
from microemo.inference.explanation.check import finding_family, is_backed
from microemo.inference.explanation.claims import read_claims, split_sentences
from microemo.inference.explanation.vocabulary import family_of
from microemo.inference.report.report import ClipSummary, UtteranceReport
from microemo.processing.emotion_parsing import parse_emotions
from microemo.processing.evidence import Evidence

STRONGEST_EMOTIONS = 2  # the first label of an answer must be among that many top emotions of the emotion head
MIN_VALENCE = 0.1  # valences closer to 0 have no sign

Counts = tuple[float, float]  # number of true cases (or sum of scores) and number of cases


def explanation_figures(clips: Sequence[EvaluatedClip]) -> list[Figure]:
    """Returns means over answers, sentences or utterances of the clips; none if no explanation was generated.

    - Answers that parse: share of all answers, about clips and about utterances.
    - Sentences backed before, after the check: share of sentences about utterances that findings support.
    - Label F in wheel families: F1 of the answer's labels, over answers with reference emotions.
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
    """Whether the explanation of an utterance contradicts other outputs of the report. One of:

    - the family of its first label is not among those of the two strongest emotions;
    - the sign of its labels' total valence is opposite to that of the predicted valence;
    - its text names an emotion of a family that no finding has.

    Words that are not on the wheel are ignored.
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
    """Returns the F1 of the wheel families of two sets of labels; None if no reference label is on the wheel."""
    predicted, true = ({emotion_family(label) for label in side} - {None} for side in (labels, reference))
    return 2 * len(predicted & true) / (len(predicted) + len(true)) if true else None


def findings(part: UtteranceReport) -> tuple[Evidence, ...]:
    """Returns the findings of an utterance from the evidence in its report, in seconds of the video."""
    return tuple(
        Evidence(
            entry.kind,
            entry.label,
            entry.start_seconds,
            entry.end_seconds,
            certainty=entry.certainty,
            apex_seconds=entry.apex_seconds,
            signs=entry.signs,
            pitch_semitones=entry.pitch_semitones,
        )
        for entry in part.evidence
    )


def raw_description(part: UtteranceReport) -> str:
    """Returns the description as generated, before the check; "" if it is missing or cannot be parsed."""
    return parse_emotions(part.raw_answer or "").description


def _answers(clip: EvaluatedClip) -> tuple[ClipSummary | UtteranceReport, ...]:
    parts: tuple[ClipSummary | UtteranceReport, ...] = (clip.report.summary, *clip.report.utterances)
    return tuple(part for part in parts if part.raw_answer is not None)


def _explained(clip: EvaluatedClip) -> Iterator[UtteranceReport]:
    return (part for part in clip.report.utterances if part.raw_answer is not None)


def _backed(clip: EvaluatedClip, text_of: Callable[[UtteranceReport], str]) -> Counts:
    """Counts the sentences of each utterance that its findings support. Times may be the bounds of the utterance."""
    return _share(
        is_backed(sentence, findings(part), [(part.start_seconds, part.end_seconds)])
        for part in _explained(clip)
        for sentence in split_sentences(text_of(part))
    )


def _label_scores(clips: Sequence[EvaluatedClip]) -> list[list[float]]:
    """Returns the F1 of each answer with reference labels, by clip. An answer that does not parse has no labels."""
    scores: list[list[float]] = [[] for _ in clips]
    for part in scored_utterances(clips):
        reference = part.targets.open_labels or part.targets.emotions
        score = family_f1(part.prediction.open_emotions or (), reference=reference)
        if part.prediction.raw_answer is not None and score is not None:
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
    """counts (clips, 2): sums and numbers of cases."""

    def statistic(chosen: np.ndarray) -> float:
        part, whole = counts[chosen].sum(axis=0)
        return float(part / whole) if whole else float("nan")

    return Figure(name, len(counts), statistic)
