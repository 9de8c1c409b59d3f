"""Checks each sentence of an explanation against the evidence; unsupported sentences are not shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from microemo.inference.explanation.claims import SCENE, Claim, read_claims, split_sentences
from microemo.inference.explanation.vocabulary import family_of
from microemo.processing.evidence import Evidence

MIN_CERTAINTY = 0.15  # a less certain label supports no claim
ABSENT_CERTAINTY = 0.5  # an emotion with this certainty is not absent
AGREEING_CERTAINTY = 0.25  # of the families that two agreeing streams share
NEAR_SECONDS = 0.25  # tolerance between a stated time and the event's time
PITCH_SEMITONES = 1.0  # relative to the speaker's own pitch, from which it counts as high or low

STREAMS = {"micro_expression": "face"}  # of kinds that are no stream of their own


@dataclass(frozen=True)
class CheckedText:
    """text: the supported sentences, in order, joined by a space. unsupported: the other sentences."""

    text: str
    unsupported: tuple[str, ...]


def check_explanation(
    text: str, *, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]] = ()
) -> CheckedText:
    """Separates the sentences of `text` whose claims are all supported from the others.

    Sentences without claims about face, voice, words, emotions or times are kept.

    Args:
        evidence: on the clock of the text, seconds.
        spans: (start, end) of the utterances on the same clock; sentences may state these times as well.
    """
    sentences = [(sentence, is_backed(sentence, evidence, spans)) for sentence in split_sentences(text)]
    return CheckedText(
        " ".join(sentence for sentence, backed in sentences if backed),
        tuple(sentence for sentence, backed in sentences if not backed),
    )


def is_backed(sentence: str, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]] = ()) -> bool:
    """Whether the evidence supports every claim of a sentence. spans: as in `check_explanation`."""
    return all(_is_supported_claim(claim, evidence, spans) for claim in read_claims(sentence))


def finding_family(finding: Evidence) -> str | None:
    """The emotion wheel family of a finding; None for scenes and findings without a label."""
    return family_of(finding.label) if finding.label and finding.kind != SCENE else None


def _is_supported_claim(claim: Claim, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]]) -> bool:
    if claim.kind == "stream":
        return _has_stream(claim.names[0], evidence)
    if claim.kind in ("agreement", "disagreement"):
        return _is_related(claim, evidence)
    findings = _findings_of_stream(evidence, claim.stream, is_micro=claim.is_micro and claim.stream in ("face", None))
    if claim.kind == "emotion":
        min_certainty = ABSENT_CERTAINTY if claim.denied else MIN_CERTAINTY
        return (claim.names[0] in _families(findings, min_certainty=min_certainty)) != claim.denied
    if claim.subjects:
        findings = [each for each in findings if _has_sign(each, claim.subjects)]
    if claim.kind == "sign":
        return any(_has_sign(finding, claim.names) for finding in findings) != claim.denied
    if claim.kind == "micro_expression":
        return any(finding.kind == "micro_expression" for finding in findings) != claim.denied
    return any(abs(time - (claim.seconds or 0.0)) <= NEAR_SECONDS for time in _allowed_times(claim, findings, spans))


def _allowed_times(claim: Claim, findings: Sequence[Evidence], spans: Sequence[tuple[float, float]]) -> list[float]:
    """The times that a claimed time may be near: onsets, offsets, or any, as its sentence says."""
    starts = [*(each.start_seconds for each in findings), *(start for start, _ in spans)]
    ends = [*(each.end_seconds for each in findings), *(end for _, end in spans)]
    if claim.role is not None and not claim.is_micro:
        return starts if claim.role == "start" else ends
    return [*starts, *ends, *(each.apex_seconds for each in findings if each.apex_seconds is not None)]


def _has_stream(stream: str, evidence: Sequence[Evidence]) -> bool:
    """Whether a stream has a finding; the absence of a face also holds if there are no face findings."""
    if _findings_of_stream(evidence, stream):
        return True
    return stream == SCENE and not _findings_of_stream(evidence, "face")


def _findings_of_stream(evidence: Sequence[Evidence], stream: str | None, *, is_micro: bool = False) -> list[Evidence]:
    """The findings of a stream, of all streams for None; only micro-expressions with `is_micro`."""
    kinds = ("micro_expression",) if is_micro else None
    return [
        finding
        for finding in evidence
        if stream in (None, STREAMS.get(finding.kind, finding.kind)) and (kinds is None or finding.kind in kinds)
    ]


def _certainty(finding: Evidence) -> float:
    """Certainty of a finding; plain facts have certainty 1."""
    return 1.0 if finding.certainty is None else finding.certainty


def _families(findings: Sequence[Evidence], *, min_certainty: float) -> set[str]:
    families = (finding_family(finding) for finding in findings if _certainty(finding) >= min_certainty)
    return {family for family in families if family is not None}


def _has_sign(finding: Evidence, signs: Sequence[str]) -> bool:
    """Whether a finding has one of the signs; an emotion family among them matches the label ("smile")."""
    semitones = finding.pitch_semitones or 0.0
    pitch = {"high"} if semitones >= PITCH_SEMITONES else {"low"} if semitones <= -PITCH_SEMITONES else set()
    signs_of_finding = {*finding.signs, *pitch, *_families([finding], min_certainty=MIN_CERTAINTY)}
    return not signs_of_finding.isdisjoint(signs)


def _is_related(claim: Claim, evidence: Sequence[Evidence]) -> bool:
    """Streams agree if they share a family, and disagree if their strongest findings have different ones."""
    first, second = (
        [
            finding
            for finding in _findings_of_stream(evidence, stream, is_micro=claim.is_micro and stream == "face")
            if finding_family(finding) is not None
        ]
        for stream in claim.names
    )
    if claim.kind == "agreement":
        shared = _families(first, min_certainty=AGREEING_CERTAINTY) & _families(
            second, min_certainty=AGREEING_CERTAINTY
        )
        return bool(shared)
    if not first or not second:
        return False
    strongest = [finding_family(max(findings, key=_certainty)) for findings in (first, second)]
    return strongest[0] != strongest[1]
