"""Says in varied plain English why someone feels what: only by what the clip really contains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microemo.data.action_units import ACTION_UNITS, ONE_SIDED
from microemo.processing.emotion_parsing import EXPRESSION_NOUNS, quotation
from microemo.synthesis.script.truth import FaceEvent
from microemo.synthesis.voice.speech import TONES

MOVEMENTS = {unit.label: unit.movement for unit in ACTION_UNITS}

MACRO_FORMS = (
    "From {onset} s on {movements}, an expression of {noun} that lasts until {offset} s.",
    "The face shows {noun} between {onset} and {offset} s: {movements}.",
    "{Movements} from {onset} s until {offset} s, a lasting look of {noun}.",
)
MICRO_FORMS = (
    "At {apex} s {movements} for an instant, a micro-expression of {noun}.",
    "A flash of {noun} crosses the face at {apex} s: {movements}.",
    "Briefly, at {apex} s, {movements}: a trace of {noun}.",
)
AGREES = (" It agrees with the rest.", " It fits what is said and heard.", "")
LEAKS = (" It contradicts the rest and seems to leak.", " It breaks through what is shown otherwise.",
         " Nothing else shows it, so it may be held back.")  # fmt: skip
VOICE_FORMS = (
    "The voice is {sound}, which sounds like {noun}.",
    "In the voice, {sound}, there is {noun}.",
    "The voice is {sound} and carries {noun}.",
)
EVEN_VOICE_FORMS = ("The voice is even.", "The voice stays even and gives little away.")
WORDS_FORMS = (
    'The words "{quote}" express {noun}.',
    'What is said, "{quote}", speaks of {noun}.',
    'By the words "{quote}" it is {noun}.',
)
PLAIN_WORDS_FORMS = ('The words "{quote}" are factual.', 'What is said, "{quote}", is plain information.')
STILL_FACE_FORMS = ("The face stays at rest.", "No lasting expression shows on the face.")
UNSEEN_FORMS = ("The speaker is not in the picture.", "The speaker is heard, not seen.")


def emotions_line(labels: Sequence[str]) -> str:
    """The first line of an answer."""
    return f"Emotions: {', '.join(labels)}."


def explain(labels: Sequence[str], *, reasons: Sequence[str]) -> str:
    """The answer: labels, then the reasons in order."""
    return f"{emotions_line(labels)}\nReason: {' '.join(reasons)}"


def face_reason(event: FaceEvent, *, against: bool, rng: np.random.Generator) -> str:
    """A sentence about one event.

    Args:
        against: whether it contradicts the other channels; told only of micro-expressions.
    """
    forms = MICRO_FORMS if event.kind == "micro" else MACRO_FORMS
    movements = join_phrases([_movement(unit, event=event) for unit in event.units])
    sentence = _choose(forms, rng=rng).format(
        movements=movements,
        Movements=movements[0].upper() + movements[1:],
        noun=EXPRESSION_NOUNS[event.emotion],
        onset=f"{event.onset_seconds:.1f}",
        apex=f"{event.apex_seconds:.1f}",
        offset=f"{event.offset_seconds:.1f}",
    )
    if event.kind == "macro":
        return sentence
    return sentence + _choose(LEAKS if against else AGREES, rng=rng)


def _movement(unit: str, *, event: FaceEvent) -> str:
    phrase = MOVEMENTS[unit]
    if event.emotion in ONE_SIDED and event.side != "both":
        phrase = phrase.replace("the corners of the mouth pull", "a corner of the mouth pulls")
        phrase += f" on the {event.side} of the picture"
    return phrase


def voice_reason(emotion: str, *, rng: np.random.Generator) -> str:
    """A sentence about the voice."""
    if emotion == "neutral":
        return _choose(EVEN_VOICE_FORMS, rng=rng)
    return _choose(VOICE_FORMS, rng=rng).format(sound=TONES[emotion].sound, noun=EXPRESSION_NOUNS[emotion])


def acted_voice_reason(emotion: str, *, rng: np.random.Generator) -> str:
    """A sentence about a recorded voice, whose pitch and rate are not known."""
    if emotion == "neutral":
        return _choose(EVEN_VOICE_FORMS[:1], rng=rng)
    return f"The voice sounds of {EXPRESSION_NOUNS[emotion]}."


def words_reason(text: str, *, emotion: str, rng: np.random.Generator) -> str:
    """A sentence about the words, quoting their beginning."""
    forms = PLAIN_WORDS_FORMS if emotion == "neutral" else WORDS_FORMS
    return _choose(forms, rng=rng).format(quote=quotation(text), noun=EXPRESSION_NOUNS[emotion])


def still_face_reason(*, rng: np.random.Generator) -> str:
    """A sentence for a face that shows nothing."""
    return _choose(STILL_FACE_FORMS, rng=rng)


def unseen_reason(*, rng: np.random.Generator) -> str:
    """A sentence for a speaker who is not in the picture."""
    return _choose(UNSEEN_FORMS, rng=rng)


def join_phrases(phrases: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    if len(phrases) <= 1:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _choose(forms: Sequence[str], *, rng: np.random.Generator) -> str:
    return forms[int(rng.integers(len(forms)))]
