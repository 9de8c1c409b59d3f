"""Checks each sentence of an explanation against the evidence: what no finding backs is not shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from microemo.inference.explanation.claims import SCENE, Claim, read_claims, split_sentences
from microemo.inference.explanation.vocabulary import family_of
from microemo.processing.evidence import Evidence

MIN_CERTAINTY = 0.15  # a label less certain than that backs nothing
ABSENT_CERTAINTY = 0.5  # an emotion found with that is not absent
AGREEING_CERTAINTY = 0.25  # of the families that two streams may share
NEAR_SECONDS = 0.25  # between a named time and the moment that it names
PITCH_SEMITONES = 1.0  # from the speaker's own pitch: called high or low

STREAMS = {"micro_expression": "face"}  # of the kinds that are no stream of their own


@dataclass(frozen=True)
class CheckedText:
    """text: the sentences that findings back, in order, joined by a space. unsupported: the others."""

    text: str
    unsupported: tuple[str, ...]


def check_explanation(
    text: str, *, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]] = ()
) -> CheckedText:
    """Returns the sentences of `text` all claims of which are backed, apart from the others.

    A sentence that claims nothing of face, voice, words, emotions or times is kept.

    Args:
        evidence: on the clock of the text, seconds.
        spans: (start, end) of the utterances on the same clock; their edges may be named as well.
    """
    sentences = [(sentence, is_backed(sentence, evidence, spans)) for sentence in split_sentences(text)]
    return CheckedText(
        " ".join(sentence for sentence, backed in sentences if backed),
        tuple(sentence for sentence, backed in sentences if not backed),
    )


def is_backed(sentence: str, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]] = ()) -> bool:
    """Whether findings back every claim of one sentence. spans: as in `check_explanation`."""
    return all(_is_true(claim, evidence, spans) for claim in read_claims(sentence))


def finding_family(finding: Evidence) -> str | None:
    """The wheel family of what was found; None of a scene, and where only a sign or a movement was."""
    return family_of(finding.label) if finding.label and finding.kind != SCENE else None


def _is_true(claim: Claim, evidence: Sequence[Evidence], spans: Sequence[tuple[float, float]]) -> bool:
    if claim.kind == "stream":
        return _has_stream(claim.names[0], evidence)
    if claim.kind in ("agreement", "disagreement"):
        return _is_related(claim, evidence)
    found = _of_stream(evidence, claim.stream, is_brief=claim.is_brief and claim.stream in ("face", None))
    if claim.kind == "emotion":
        least = ABSENT_CERTAINTY if claim.denied else MIN_CERTAINTY
        return (claim.names[0] in _families(found, least=least)) != claim.denied
    if claim.subjects:
        found = [each for each in found if _shows(each, claim.subjects)]
    if claim.kind == "sign":
        return any(_shows(finding, claim.names) for finding in found) != claim.denied
    if claim.kind == "brief":
        return any(finding.kind == "micro_expression" for finding in found) != claim.denied
    return any(abs(time - (claim.seconds or 0.0)) <= NEAR_SECONDS for time in _times(claim, found, spans))


def _times(claim: Claim, found: Sequence[Evidence], spans: Sequence[tuple[float, float]]) -> list[float]:
    """The times that a named time may be: onsets only, offsets only, or any, as its sentence says."""
    starts = [*(each.start_seconds for each in found), *(start for start, _ in spans)]
    ends = [*(each.end_seconds for each in found), *(end for _, end in spans)]
    if claim.role is not None and not claim.is_brief:
        return starts if claim.role == "start" else ends
    return [*starts, *ends, *(each.apex_seconds for each in found if each.apex_seconds is not None)]


def _has_stream(stream: str, evidence: Sequence[Evidence]) -> bool:
    """Whether a stream has a finding; that no face is seen is also true where the face has none."""
    if _of_stream(evidence, stream):
        return True
    return stream == SCENE and not _of_stream(evidence, "face")


def _of_stream(evidence: Sequence[Evidence], stream: str | None, *, is_brief: bool = False) -> list[Evidence]:
    """The findings of a stream, of all where it is None; only micro-expressions where they are spoken of."""
    kinds = ("micro_expression",) if is_brief else None
    return [
        finding
        for finding in evidence
        if stream in (None, STREAMS.get(finding.kind, finding.kind)) and (kinds is None or finding.kind in kinds)
    ]


def _certainty(finding: Evidence) -> float:
    """A plain fact is certain."""
    return 1.0 if finding.certainty is None else finding.certainty


def _families(found: Sequence[Evidence], *, least: float) -> set[str]:
    known = (finding_family(finding) for finding in found if _certainty(finding) >= least)
    return {family for family in known if family is not None}


def _shows(finding: Evidence, signs: Sequence[str]) -> bool:
    """Whether a finding has one of the signs; a family among them stands for a face that shows it ("smile")."""
    semitones = finding.pitch_semitones or 0.0
    pitch = {"high"} if semitones >= PITCH_SEMITONES else {"low"} if semitones <= -PITCH_SEMITONES else set()
    shown = {*finding.signs, *pitch, *_families([finding], least=MIN_CERTAINTY)}
    return not shown.isdisjoint(signs)


def _is_related(claim: Claim, evidence: Sequence[Evidence]) -> bool:
    """Streams agree where they share a family, and disagree where their strongest findings have different ones."""
    first, second = (
        [
            finding
            for finding in _of_stream(evidence, stream, is_brief=claim.is_brief and stream == "face")
            if finding_family(finding) is not None
        ]
        for stream in claim.names
    )
    if claim.kind == "agreement":
        shared = _families(first, least=AGREEING_CERTAINTY) & _families(second, least=AGREEING_CERTAINTY)
        return bool(shared)
    if not first or not second:
        return False
    strongest = [finding_family(max(found, key=_certainty)) for found in (first, second)]
    return strongest[0] != strongest[1]
