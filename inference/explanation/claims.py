"""What one sentence of an explanation claims: streams, emotions, signs, brief events, times, relations.

Sentences are cut into clauses. An emotion, a sign or a time belongs to the nearest stream that its clause names; a
clause that names none goes on with the stream before it. What stands in quotation marks claims nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from microemo.inference.explanation.vocabulary import (
    AGREEMENT,
    BRIEF,
    DENIED_AFTER,
    DISAGREEMENT,
    DURATIONS,
    FACE_SIGNS,
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

ClaimKind = Literal["stream", "emotion", "sign", "brief", "time", "agreement", "disagreement"]
SCENE = "scene"
NEGATION_WORDS = 6  # a negation reaches over so many words at most
LONGEST_PHRASE = 4  # words of an emotion such as "at a loss for"
CARRYING_WORDS = 3  # a clause of so few words goes on with the list, and the negation, before it

_QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)['‘](?=\w)[^\"\n]*?['’](?!\w)")
_SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!Mrs)(?<!approx)[.!?][\"”’»')]*(?=\s+[A-Z0-9\"“‘«'(])|\n")
_LINK = r"\b(?:while|whereas|but|and(?! \d)|yet|although|though|despite)\b"
_BRACKET = re.compile(r"\([^)]*\)")
_CLAUSE_END = re.compile(rf"[,;:](?:\s+{_LINK})?| - |—|{_LINK}", re.IGNORECASE)
_CONTRAST = re.compile(r"but|while|whereas|yet|although|though|despite|;", re.IGNORECASE)
_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Claim:
    """One thing that a sentence states.

    kind: what is stated. names: the stream, the two streams of a relation, the emotion's family, or the signs any of
    which shows it. stream: whose it is, None where the sentence names none. denied: stated to be absent.
    is_brief: said of a micro-expression. subjects: of a time, a brief event or a sign of the face, the families of the
    emotions that are named with it, or the signs; () where none is. role: which edge of a finding a time is, None where
    the sentence leaves it open.
    """

    kind: ClaimKind
    names: tuple[str, ...] = ()
    stream: str | None = None
    denied: bool = False
    is_brief: bool = False
    seconds: float | None = None
    subjects: tuple[str, ...] = ()
    role: Literal["start", "end"] | None = None


@dataclass(frozen=True)
class _Found:
    """A place in a clause."""

    start: int
    end: int
    name: str


def split_sentences(text: str) -> tuple[str, ...]:
    """Returns the sentences of a text; neither "4.4 s" nor what is quoted is split.

    >>> split_sentences('At 4.4 s she smiles. "No. Never." is what she says.')
    ('At 4.4 s she smiles.', '"No. Never." is what she says.')
    """
    ends = [match.end() for match in _SENTENCE_END.finditer(_without_quotes(text))]
    sentences = (text[start:end].strip() for start, end in pairwise([0, *ends, len(text)]))
    return tuple(filter(None, sentences))


def read_claims(sentence: str) -> tuple[Claim, ...]:
    """Returns what a sentence claims; () where it speaks of neither face, voice, words, emotions nor times."""
    text = _blanked(_without_quotes(sentence), DURATIONS)
    claims: list[Claim] = []
    stream: str | None = None
    denied = False
    for clause, is_contrast in _clauses(text):
        carried = denied and not is_contrast and _continues_list(clause)
        found, denied = _clause_claims(clause, before=stream, carried=carried)
        claims += found
        stream = next((claim.names[0] for claim in reversed(found) if claim.kind == "stream"), stream)
    claims = _with_streams(claims)
    return (*claims, *_bracketed(text), *_relations(text, claims))


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Each clause, and whether it is set against the one before; what leads up to the first claim is of its clause."""
    start, is_contrast = 0, False
    for match in _CLAUSE_END.finditer(text):
        lead = text[: match.start()]
        if start == 0 and not (_streams(lead) or _emotions(lead) or UNSEEN.search(lead)):
            continue
        yield text[start : match.start()], is_contrast
        start, is_contrast = match.end(), _CONTRAST.search(match[0]) is not None
    yield text[start:], is_contrast


def _clause_claims(clause: str, *, before: str | None, carried: bool) -> tuple[list[Claim], bool]:
    """The claims of a clause, and whether something is denied in it. before: the stream named last."""
    emotions = _emotions(clause)
    streams, clause = _with_unseen(clause, emotions)
    is_brief = BRIEF.search(clause) is not None

    def owner(place: _Found) -> str | None:
        near = [found for found in streams if found.name != SCENE]
        if not near:
            return None if before == SCENE else before
        return min(near, key=lambda found: _distance(found, place)).name

    def is_denied(place: _Found) -> bool:
        spots = [match.end() for match in NEGATION.finditer(clause, 0, place.start)]
        near = spots and len(_WORD.findall(clause[spots[-1] : place.start])) <= NEGATION_WORDS
        return bool(near) or carried or DENIED_AFTER.match(clause, place.end) is not None

    claims = [Claim("stream", (found.name,)) for found in sorted(streams, key=lambda found: found.start)]
    for found in emotions:
        claims.append(Claim("emotion", (found.name,), owner(found), is_denied(found), is_brief))
    for stream, table in (("face", FACE_SIGNS), ("voice", VOICE_SIGNS)):
        for pattern, names in table:
            for match in pattern.finditer(clause):
                found = _Found(match.start(), match.end(), "")
                if owner(found) == stream:
                    claims.append(Claim("sign", tuple(sorted(names)), stream, is_denied(found), is_brief))
    families = tuple(claim.names[0] for claim in claims if claim.kind == "emotion" and not claim.denied)
    if is_brief:
        brief = BRIEF.search(clause)
        denied = brief is not None and is_denied(_Found(brief.start(), brief.end(), ""))
        named = tuple(found.name for found in emotions) if denied else families
        claims.append(Claim("brief", (), "face", denied, True, subjects=named))
    signs = tuple(name for claim in claims if claim.kind == "sign" and not claim.denied for name in claim.names)
    for match in TIMES.finditer(clause):
        found = _Found(match.start(), match.end(), "")
        of_scene = bool(streams) and min(streams, key=lambda each: _distance(each, found)).name == SCENE
        stream_of_time = SCENE if of_scene or (not streams and before == SCENE) else owner(found)
        for number, role in _times(clause, match):
            time = Claim("time", (), stream_of_time, False, is_brief, number, subjects=families or signs, role=role)
            claims.append(time)
    return claims, any(claim.denied for claim in claims)


def _times(clause: str, match: re.Match[str]) -> Iterator[tuple[float, Literal["start", "end"] | None]]:
    """The seconds of one mention of times, each with the edge that it is: "from 1.2 s on", "1.2 to 2.4 s"."""
    first, last = match.groups()
    before = clause[: match.start()]
    if last is not None:
        yield from ((float(first), "start"), (float(last), "end"))
    else:
        yield float(first), "start" if ONSET.search(before) else "end" if OFFSET.search(before) else None


def _with_streams(claims: list[Claim]) -> list[Claim]:
    """Claims before the first stream are of that one; times, brief events and signs of the face without an emotion in
    their clause are of any that the sentence names."""
    first = next((claim.names[0] for claim in claims if claim.kind == "stream" and claim.names[0] != SCENE), None)
    owned = [claim if claim.stream else replace(claim, stream=first) for claim in claims]
    named = [claim for claim in owned if claim.kind == "emotion" and not claim.denied]
    return [
        replace(claim, subjects=tuple(each.names[0] for each in named if each.stream == claim.stream))
        if (claim.kind in ("time", "brief") or (claim.kind == "sign" and claim.stream == "face"))
        and not claim.subjects
        and not claim.denied
        else claim
        for claim in owned
    ]


def _bracketed(text: str) -> Iterator[Claim]:
    """What brackets add that the stream before them does not have: "the voice is neutral (lips apart)", "(halted)"."""
    for bracket in _BRACKET.finditer(text):
        before = _streams(text[: bracket.start()])
        last = max(before, key=lambda found: found.end).name if before else SCENE
        inside = bracket[0]
        signs = {
            stream
            for stream, table in (("face", FACE_SIGNS), ("voice", VOICE_SIGNS))
            if any(pattern.search(inside) for pattern, _ in table)
        }
        others = (signs | {found.name for found in _streams(inside)}) - {last, SCENE}
        is_known = bool(signs) or bool(_emotions(inside)) or not _WORD.search(_blanked(inside, TIMES))
        if last not in (None, SCENE) and (others or not is_known):
            yield _never_backed(last)


def _never_backed(stream: str) -> Claim:
    """A claim that no finding can back: a sign without a name."""
    return Claim("sign", (), stream)


def _relations(text: str, claims: list[Claim]) -> list[Claim]:
    streams = list(dict.fromkeys(claim.names[0] for claim in claims if claim.kind == "stream"))
    pair = tuple(stream for stream in streams if stream != SCENE)[:2]
    against, together = DISAGREEMENT.search(text), AGREEMENT.search(text)
    if not pair or (against is None and together is None):
        return []
    if len(pair) < 2:  # "the face fits the face" says nothing that could be found
        is_twice = sum(claim.names == pair for claim in claims if claim.kind == "stream") > 1
        return [_never_backed(pair[0])] if is_twice else []
    # "does not contradict" agrees, and holds a word of the other list
    agrees = together is not None and (against is None or together.start() <= against.start() < together.end())
    return [Claim("agreement" if agrees else "disagreement", pair, is_brief=BRIEF.search(text) is not None)]


def _continues_list(clause: str) -> bool:
    """Whether a clause goes on with a list of emotions, as "anger or grief is in the face" after "no fear,"."""
    words = clause.split()
    begins = any(not clause[: found.start].strip() for found in _emotions(clause))
    return len(words) <= CARRYING_WORDS or (begins and not {"or", "nor"}.isdisjoint(words))


def _streams(clause: str) -> list[_Found]:
    return [
        _Found(match.start(), match.end(), stream)
        for stream, pattern in STREAM_WORDS.items()
        for match in pattern.finditer(clause)
    ]


def _with_unseen(clause: str, emotions: list[_Found]) -> tuple[list[_Found], str]:
    """The streams of a clause, "no face is seen" as one of the scene, and the clause without that phrase.

    In "fear is not seen" and "a smile is not seen" it is no face that is missing.
    """
    match = UNSEEN.search(clause)
    before = [] if match is None else [*emotions, *_streams(clause[: match.start()])]
    if match is None or any(found.end <= match.start() and found.name != "voice" for found in before):
        return _streams(clause), clause
    clause = clause[: match.start()] + " " * len(match[0]) + clause[match.end() :]
    return [_Found(match.start(), match.end(), SCENE), *_streams(clause)], clause


def _emotions(clause: str) -> list[_Found]:
    """The emotion words of a clause, the longest phrase first, by family."""
    found = [_Found(match.start(), match.end(), NEUTRAL) for match in NEUTRAL_PHRASES.finditer(clause)]
    words, families = list(_WORD.finditer(clause)), emotion_words()
    place = 0
    while place < len(words):
        for length in range(min(LONGEST_PHRASE, len(words) - place), 0, -1):
            start, end = words[place].start(), words[place + length - 1].end()
            family = families.get(clause[start:end].lower())
            if family is not None and not any(each.start < end and start < each.end for each in found):
                found.append(_Found(start, end, family))
                place += length - 1
                break
        place += 1
    return found


def _distance(first: _Found, second: _Found) -> int:
    return max(first.start - second.end, second.start - first.end, 0)


def _without_quotes(text: str) -> str:
    """The text, of the same length, its quotes blank but for a sentence's end at the end of a quote."""

    def blank(match: re.Match[str]) -> str:
        inner = match[0][1:-1]
        last = inner[-1:] if inner[-1:] in ".!?" else "_"
        return match[0][0] + "_" * (len(inner) - 1) + (last if inner else "") + match[0][-1]

    return _QUOTE.sub(blank, text)


def _blanked(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)
