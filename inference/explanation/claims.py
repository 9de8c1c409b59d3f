"""Extracts the claims of a sentence: streams, emotions, signs, micro-expressions, times, relations.

Sentences are split into clauses. An emotion, a sign or a time belongs to the nearest stream named in its clause; a
clause without a stream continues with the previous one. Quoted text contains no claims.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from microemo.inference.explanation.vocabulary import (
    AGREEMENT,
    DENIED_AFTER,
    DISAGREEMENT,
    DURATIONS,
    FACE_SIGNS,
    MICRO_EXPRESSION,
    NEGATION,
    NEUTRAL,
    NEUTRAL_PHRASES,
    OFFSET,
    ONSET,
    STREAM_WORDS,
    TIMES,
    UNSEEN,
    VOICE_SIGNS,
    emotion_words,
)

ClaimKind = Literal["stream", "emotion", "sign", "micro_expression", "time", "agreement", "disagreement"]
SCENE = "scene"
MAX_NEGATION_WORDS = 6  # words over which a negation reaches
MAX_PHRASE_WORDS = 4  # words of an emotion such as "at a loss for"
MAX_LIST_WORDS = 3  # a clause this short continues the preceding list and its negation

_QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)['‘](?=\w)[^\"\n]*?['’](?!\w)")
_SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!Mrs)(?<!approx)[.!?][\"”’»')]*(?=\s+[A-Z0-9\"“‘«'(])|\n")
_LINK = r"\b(?:while|whereas|but|and(?! \d)|yet|although|though|despite)\b"
_BRACKET = re.compile(r"\([^)]*\)")
_CLAUSE_END = re.compile(rf"[,;:](?:\s+{_LINK})?| - |—|{_LINK}", re.IGNORECASE)
_CONTRAST = re.compile(r"but|while|whereas|yet|although|though|despite|;", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """One statement of a sentence.

    kind: what is stated.
    names: the stream, the two streams of a relation, the emotion's family, or the signs of which any one supports it.
    stream: the stream it refers to, None if the sentence names none.
    denied: stated to be absent.
    is_micro: refers to a micro-expression.
    subjects: for a time, a micro-expression or a facial sign, the emotion families mentioned with it, else the signs;
    () without any.
    role: the edge of a finding that a time is, None if the sentence leaves it open.
    """

    kind: ClaimKind
    names: tuple[str, ...] = ()
    stream: str | None = None
    denied: bool = False
    is_micro: bool = False
    seconds: float | None = None
    subjects: tuple[str, ...] = ()
    role: Literal["start", "end"] | None = None


@dataclass(frozen=True)
class _Match:
    """A match in a clause."""

    start: int
    end: int
    name: str


def split_sentences(text: str) -> tuple[str, ...]:
    """Splits a text into sentences; neither "4.4 s" nor quoted text is split.

    >>> split_sentences('At 4.4 s she smiles. "No. Never." is what she says.')
    ('At 4.4 s she smiles.', '"No. Never." is what she says.')
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(_without_quotes(text))]
    sentences = (text[start:end].strip() for start, end in pairwise([0, *ends, len(text)]))
    return tuple(filter(None, sentences))


def read_claims(sentence: str) -> tuple[Claim, ...]:
    """Returns the claims of a sentence; () if it mentions neither face, voice, words, emotions nor times."""
    text = _blank(_without_quotes(sentence), DURATIONS)
    claims: list[Claim] = []
    stream: str | None = None
    denied = False
    for clause, is_contrast in _clauses(text):
        continues_negation = denied and not is_contrast and _continues_list(clause)
        clause_claims, denied = _clause_claims(clause, previous_stream=stream, continues_negation=continues_negation)
        claims += clause_claims
        stream = next((claim.names[0] for claim in reversed(clause_claims) if claim.kind == "stream"), stream)
    claims = _with_streams(claims)
    return (*claims, *_bracket_claims(text), *_relations(text, claims))


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Yields each clause and whether it contrasts with the previous one; text before any claim joins the first."""
    start, is_contrast = 0, False
    for match in _CLAUSE_END.finditer(text):
        prefix = text[: match.start()]
        if start == 0 and not (_streams(prefix) or _emotions(prefix) or UNSEEN.search(prefix)):
            continue
        yield text[start : match.start()], is_contrast
        start, is_contrast = match.end(), _CONTRAST.search(match[0]) is not None
    yield text[start:], is_contrast


def _clause_claims(clause: str, *, previous_stream: str | None, continues_negation: bool) -> tuple[list[Claim], bool]:
    """The claims of a clause, and whether any is negated. previous_stream: the stream named last."""
    emotions = _emotions(clause)
    streams, clause = _streams_and_unseen(clause, emotions)
    is_micro = MICRO_EXPRESSION.search(clause) is not None

    def stream_of(target: _Match) -> str | None:
        candidates = [mention for mention in streams if mention.name != SCENE]
        if not candidates:
            return None if previous_stream == SCENE else previous_stream
        return min(candidates, key=lambda mention: _distance(mention, target)).name

    def is_denied(target: _Match) -> bool:
        negation_ends = [match.end() for match in NEGATION.finditer(clause, 0, target.start)]
        is_near = negation_ends and len(_WORD.findall(clause[negation_ends[-1] : target.start])) <= MAX_NEGATION_WORDS
        return bool(is_near) or continues_negation or DENIED_AFTER.match(clause, target.end) is not None

    claims = [Claim("stream", (mention.name,)) for mention in sorted(streams, key=lambda mention: mention.start)]
    for mention in emotions:
        claims.append(Claim("emotion", (mention.name,), stream_of(mention), is_denied(mention), is_micro))
    for stream, table in (("face", FACE_SIGNS), ("voice", VOICE_SIGNS)):
        for pattern, names in table:
            for match in pattern.finditer(clause):
                mention = _Match(match.start(), match.end(), "")
                if stream_of(mention) == stream:
                    claims.append(Claim("sign", tuple(sorted(names)), stream, is_denied(mention), is_micro))
    families = tuple(claim.names[0] for claim in claims if claim.kind == "emotion" and not claim.denied)
    if is_micro:
        micro_match = MICRO_EXPRESSION.search(clause)
        denied = micro_match is not None and is_denied(_Match(micro_match.start(), micro_match.end(), ""))
        named = tuple(mention.name for mention in emotions) if denied else families
        claims.append(Claim("micro_expression", (), "face", denied, True, subjects=named))
    signs = tuple(name for claim in claims if claim.kind == "sign" and not claim.denied for name in claim.names)
    for match in TIMES.finditer(clause):
        mention = _Match(match.start(), match.end(), "")
        is_scene = bool(streams) and min(streams, key=lambda candidate: _distance(candidate, mention)).name == SCENE
        stream_of_time = SCENE if is_scene or (not streams and previous_stream == SCENE) else stream_of(mention)
        for seconds, role in _times(clause, match):
            subjects = families or signs
            claims.append(Claim("time", (), stream_of_time, False, is_micro, seconds, subjects=subjects, role=role))
    return claims, any(claim.denied for claim in claims)


def _times(clause: str, match: re.Match[str]) -> Iterator[tuple[float, Literal["start", "end"] | None]]:
    """The seconds in one mention of times, with the edge that each is: "from 1.2 s on", "1.2 to 2.4 s"."""
    first, last = match.groups()
    before = clause[: match.start()]
    if last is not None:
        yield from ((float(first), "start"), (float(last), "end"))
    else:
        yield float(first), "start" if ONSET.search(before) else "end" if OFFSET.search(before) else None


def _with_streams(claims: list[Claim]) -> list[Claim]:
    """Assigns the first stream to claims before it, and emotions of the same stream to times, micro-expressions and
    facial signs."""
    first = next((claim.names[0] for claim in claims if claim.kind == "stream" and claim.names[0] != SCENE), None)
    assigned = [claim if claim.stream else replace(claim, stream=first) for claim in claims]
    emotions = [claim for claim in assigned if claim.kind == "emotion" and not claim.denied]
    return [
        replace(claim, subjects=tuple(emotion.names[0] for emotion in emotions if emotion.stream == claim.stream))
        if (claim.kind in ("time", "micro_expression") or _is_action_unit(claim))
        and not claim.subjects
        and not claim.denied
        else claim
        for claim in assigned
    ]


def _is_action_unit(claim: Claim) -> bool:
    """Whether a claim is about a movement of the face, unlike "smile", which names an expression by itself."""
    return claim.kind == "sign" and claim.stream == "face" and all(name.startswith("AU") for name in claim.names)


def _bracket_claims(text: str) -> Iterator[Claim]:
    """Claims in brackets that do not fit the stream before them: "the voice is neutral (lips apart)", "(halted)"."""
    for bracket in _BRACKET.finditer(text):
        previous = _streams(text[: bracket.start()])
        last_stream = max(previous, key=lambda match: match.end).name if previous else SCENE
        content = bracket[0]
        signs = {
            stream
            for stream, table in (("face", FACE_SIGNS), ("voice", VOICE_SIGNS))
            if any(pattern.search(content) for pattern, _ in table)
        }
        other_streams = (signs | {match.name for match in _streams(content)}) - {last_stream, SCENE}
        is_known = bool(signs) or bool(_emotions(content)) or not _WORD.search(_blank(content, TIMES))
        if last_stream not in (None, SCENE) and (other_streams or not is_known):
            yield _unsupportable(last_stream)


def _unsupportable(stream: str) -> Claim:
    """A claim that no finding supports: a sign without a name."""
    return Claim("sign", (), stream)


def _relations(text: str, claims: list[Claim]) -> list[Claim]:
    streams = list(dict.fromkeys(claim.names[0] for claim in claims if claim.kind == "stream"))
    pair = tuple(stream for stream in streams if stream != SCENE)[:2]
    disagreement, agreement = DISAGREEMENT.search(text), AGREEMENT.search(text)
    if not pair or (disagreement is None and agreement is None):
        return []
    if len(pair) < 2:  # "the face fits the face" cannot be supported
        is_twice = sum(claim.names == pair for claim in claims if claim.kind == "stream") > 1
        return [_unsupportable(pair[0])] if is_twice else []
    # "does not contradict" is an agreement that contains a word of the other list
    agrees = agreement is not None and (
        disagreement is None or agreement.start() <= disagreement.start() < agreement.end()
    )
    return [Claim("agreement" if agrees else "disagreement", pair, is_micro=MICRO_EXPRESSION.search(text) is not None)]


def _continues_list(clause: str) -> bool:
    """Whether a clause continues a list of emotions, as "anger or grief is in the face" after "no fear,"."""
    words = clause.split()
    starts_with_emotion = any(not clause[: match.start].strip() for match in _emotions(clause))
    return len(words) <= MAX_LIST_WORDS or (starts_with_emotion and not {"or", "nor"}.isdisjoint(words))


def _streams(clause: str) -> list[_Match]:
    return [
        _Match(match.start(), match.end(), stream)
        for stream, pattern in STREAM_WORDS.items()
        for match in pattern.finditer(clause)
    ]


def _streams_and_unseen(clause: str, emotions: list[_Match]) -> tuple[list[_Match], str]:
    """The streams of a clause, with "no face is seen" as the scene, and the clause without that phrase.

    "fear is not seen" and "a smile is not seen" do not refer to a missing face.
    """
    match = UNSEEN.search(clause)
    earlier = [] if match is None else [*emotions, *_streams(clause[: match.start()])]
    if match is None or any(other.end <= match.start() and other.name != "voice" for other in earlier):
        return _streams(clause), clause
    clause = clause[: match.start()] + " " * len(match[0]) + clause[match.end() :]
    return [_Match(match.start(), match.end(), SCENE), *_streams(clause)], clause


def _emotions(clause: str) -> list[_Match]:
    """The emotion words of a clause by family, longest phrases first."""
    matches = [_Match(match.start(), match.end(), NEUTRAL) for match in NEUTRAL_PHRASES.finditer(clause)]
    words, families = list(_WORD.finditer(clause)), emotion_words()
    index = 0
    while index < len(words):
        for length in range(min(MAX_PHRASE_WORDS, len(words) - index), 0, -1):
            start, end = words[index].start(), words[index + length - 1].end()
            family = families.get(clause[start:end].lower())
            if family is not None and not any(other.start < end and start < other.end for other in matches):
                matches.append(_Match(start, end, family))
                index += length - 1
                break
        index += 1
    return matches


def _distance(first: _Match, second: _Match) -> int:
    return max(first.start - second.end, second.start - first.end, 0)


def _without_quotes(text: str) -> str:
    """The text with quoted parts blanked, same length; a sentence end at the end of a quote is kept."""

    def blank(match: re.Match[str]) -> str:
        inner = match[0][1:-1]
        last = inner[-1:] if inner[-1:] in ".!?" else "_"
        return match[0][0] + "_" * (len(inner) - 1) + (last if inner else "") + match[0][-1]

    return _QUOTE.sub(blank, text)


def _blank(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)
