"""Extracts emotion labels from free text by longest match in a word list, with handling of negation.

    "He looks happy, not angry, and there is no sign of fear or disgust." -> ["happy"]

A language model can be used instead (`labels_by_model`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from microemo.data.default_wheel import default_wheels
from microemo.data.emotion_wheel import M1, EmotionWheels
from microemo.evaluation.metrics.label_parsing import parse_labels

TOKEN = re.compile(r"[a-z]+(?:['-][a-z]+)*|[.,;:!?()\n]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NEGATIONS = _words(
    "not no never none nothing nobody neither nor without cannot unable "
    "hardly barely scarcely lack lacks lacking absence"
)
# Negation of these words does not negate the emotion: "not only happy", "can't help laughing", "not without fear".
PSEUDO_FOLLOWERS = _words("only just merely simply help without hide conceal contain suppress")
AFFIRMATIVE_IDIOMS = (("no", "doubt"), ("no", "wonder"))  # negate only their second word
SUPERLATIVES = _words("so more")  # "never been so happy"
REPLACED_BY = (("rather", "than"), ("instead", "of"), ("far", "from"), ("free", "of"), ("free", "from"))
SENTENCE_ENDS = frozenset(".;:!?()\n")
CONTRASTS = _words("but however although though yet whereas while because since except rather instead")
NEW_SUBJECTS = _words("i he she they we you who which it")
OPINIONS = _words("think believe suppose expect say feel seem")  # "I don't think she is angry"
LIST_WORDS = _words("and or nor any signs sign of even")
SCOPE_TOKENS = 8  # maximum scope of a negation

AUXILIARIES = _words("is are was were seems seem appears be")
ABSENCES = _words("absent missing lacking gone")
PRESENCES = _words("present visible evident seen shown detected apparent observed found there noticeable")

# Labels that usually have another meaning in running text ("looks like", "I thought", "close to the camera").
EVERYDAY_WORDS = _words(
    "like likes liked think thinks thought want wants wanted close aware certain certainly interest interests support "
    "supports expect expects expected understood included recognized exposed steady focus focuses strong strongly "
    "weak firm firmly still trouble plainly blank quiet quietly attention moved touched care cares cared challenging "
    "low down lost close mean stuck free cross blue"
)


@dataclass(frozen=True)
class LabelMention:
    """An emotion word in a text: its base word, token positions (end exclusive) and whether it is negated."""

    label: str
    start: int
    end: int
    negated: bool


def extract_labels(text: str, *, wheels: EmotionWheels | None = None) -> list[str]:
    """Returns the distinct base words of the emotions that a text affirms, in order of appearance.

    Args:
        text: free English text.
        wheels: provides the word list; by default MicroEmo's wheel.
    """
    mentions = find_labels(text, wheels=wheels)
    return list(dict.fromkeys(mention.label for mention in mentions if not mention.negated))


def find_labels(text: str, *, wheels: EmotionWheels | None = None) -> list[LabelMention]:
    """Returns every emotion word of a text, affirmed or negated, in order of appearance."""
    wheels = wheels or default_wheels()
    tokens = TOKEN.findall(text.lower().replace("\u2019", "'"))
    spans = _match_longest(tokens, _phrases(wheels.bases))
    emotion_tokens = {position for start, end in spans for position in range(start, end)}
    negated = _negated_positions(tokens, emotion_tokens=emotion_tokens)
    mentions = []
    for start, end in spans:
        label = wheels.map_label(" ".join(tokens[start:end]), rule=M1)
        if label is not None:
            is_negated = start in negated or _negated_afterwards(tokens[end : end + 6])
            mentions.append(LabelMention(label=label, start=start, end=end, negated=is_negated))
    return mentions


def labels_by_model(text: str, *, complete: Callable[[str], str]) -> list[str]:
    """Returns the labels a language model finds in a text, lower case.

    Args:
        text: free text in any language.
        complete: returns the model's answer to a prompt.
    """
    prompt = (
        "You are an expert on emotions. Name the emotional states that the following description clearly gives the "
        "person, and nothing else, as a list of English words in square brackets. Answer [] if there is none.\n"
        "Description: She smiles broadly, though her voice trembles a little.\nAnswer: ['happy', 'nervous']\n"
        f"Description: {text}\nAnswer:"
    )
    answer = complete(prompt)
    listed = re.search(r"\[.*?\]", answer, flags=re.DOTALL)
    return [label.lower() for label in parse_labels(listed.group() if listed else answer.strip())]


def _phrases(bases: Mapping[str, object]) -> dict[int, set[tuple[str, ...]]]:
    """Returns the word list as token tuples by length in tokens."""
    phrases: dict[int, set[tuple[str, ...]]] = {}
    for form in bases.keys() - EVERYDAY_WORDS:
        words = tuple(TOKEN.findall(form.lower()))
        phrases.setdefault(len(words), set()).add(words)
    return phrases


def _match_longest(tokens: Sequence[str], phrases: Mapping[int, set[tuple[str, ...]]]) -> list[tuple[int, int]]:
    """Returns (start, end) of the phrases from left to right, with the longest match at each position."""
    lengths = sorted((length for length in phrases if length), reverse=True)
    spans = []
    position = 0
    while position < len(tokens):
        fits = (length for length in lengths if tuple(tokens[position : position + length]) in phrases[length])
        length = next(fits, 0)
        if length:
            spans.append((position, position + length))
        position += length or 1
    return spans


def _negated_positions(tokens: Sequence[str], *, emotion_tokens: set[int]) -> set[int]:
    """Returns the token positions in the scope of a negation."""
    negated: set[int] = set()
    for cue in range(len(tokens)):
        if cue in emotion_tokens:
            continue
        if tuple(tokens[cue : cue + 2]) in AFFIRMATIVE_IDIOMS:
            negated.add(cue + 1)
        start = _scope_start(tokens, cue)
        if start is not None:
            negated.update(range(start, _scope_end(tokens, start, emotion_tokens=emotion_tokens)))
    return negated


def _scope_start(tokens: Sequence[str], cue: int) -> int | None:
    """Returns the position after a negation at `cue`; None if there is no negation with a scope."""
    token = tokens[cue]
    following = tokens[cue + 1] if cue + 1 < len(tokens) else ""
    if (token, following) in REPLACED_BY:
        return cue + 2
    if not (token in NEGATIONS or token.endswith("n't")):
        return None
    if following in PSEUDO_FOLLOWERS or (token, following) in AFFIRMATIVE_IDIOMS:
        return None
    if token == "without" and cue > 0 and tokens[cue - 1] == "not":
        return None
    if token in ("never", "not") and following == "been" and set(tokens[cue + 2 : cue + 3]) & SUPERLATIVES:
        return None
    return cue + 1


def _scope_end(tokens: Sequence[str], start: int, *, emotion_tokens: set[int]) -> int:
    """Returns the position where the scope of a negation ends, exclusive.

    A sentence end, a contrast ("but") or a new subject ("he") ends it. A comma does too, unless it continues a list
    that an "or" or "nor" closes: "no anger, fear or disgust".
    """
    reported = any(token in OPINIONS for token in tokens[start : start + 2])
    position = start
    limit = start + SCOPE_TOKENS
    while position < min(limit, len(tokens)):
        token = tokens[position]
        if token in SENTENCE_ENDS or token in CONTRASTS or (token in NEW_SUBJECTS and not reported):
            break
        if token == "," and not _continues_list(tokens, position, emotion_tokens=emotion_tokens):
            break
        if position in emotion_tokens:
            limit = position + SCOPE_TOKENS
        position += 1
    return position


def _continues_list(tokens: Sequence[str], comma: int, *, emotion_tokens: set[int]) -> bool:
    """Whether only emotion words and list words, with an "or" among them, follow a comma until the clause ends."""
    closed = False
    for position in range(comma + 1, len(tokens)):
        token = tokens[position]
        if token in SENTENCE_ENDS or token in CONTRASTS:
            break
        closed = closed or token in ("or", "nor")
        if position in emotion_tokens or token in LIST_WORDS or token == ",":
            continue
        break
    return closed


def _negated_afterwards(following: Sequence[str]) -> bool:
    """Whether the words after an emotion negate it: "is absent", "is not visible", "wasn't there"."""
    tokens = list(following)
    if not tokens:
        return False
    first, rest = tokens[0], tokens[1:]
    if first.endswith("n't") and first[:-3] in AUXILIARIES:
        return any(token in PRESENCES for token in rest[:2])
    if first not in AUXILIARIES:
        return False
    if rest[:1] == ["not"]:
        return any(token in PRESENCES for token in rest[1:3])
    return any(token in ABSENCES for token in rest[:2])
