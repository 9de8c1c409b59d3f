"""Explanations told without what is hidden."""

import numpy as np
import pytest

from microemo.synthesis import explanation
from microemo.synthesis.reason_sentences import NO_FACE, told_without
from microemo.synthesis.truth import FaceEvent

VOICE = "The voice is high and sweeping and carries surprise."
WORDS = 'What is said, "It is. At 1.2 s, no?", is plain information.'


def face(seed, kind="micro", against=True):
    event = FaceEvent(kind, "contempt", ("AU14",), 1.02, 1.2, 1.4, 0.5, side="left")
    return explanation.face_reason(event, against=against, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_every_form_of_a_face_is_known(kind, seed):
    reasons = " ".join((VOICE, face(seed, kind, against=bool(seed % 2)), WORDS))
    assert told_without(reasons, hidden=()) == reasons
    assert told_without(reasons, hidden={"face"}) == f"{NO_FACE} {VOICE} {WORDS}"


def test_voice_and_words_are_left_out():
    reasons = " ".join((VOICE, face(0), WORDS))
    assert told_without(reasons, hidden={"voice", "words"}) == face(0)


def test_a_span_stays_with_what_is_left_of_it():
    reasons = f"From 0.5 to 3.7 s: {face(1)} {VOICE} From 4.0 to 6.0 s: The face stays at rest. The voice is even."
    wanted = f"{NO_FACE} From 0.5 to 3.7 s: {VOICE} From 4.0 to 6.0 s: The voice is even."
    assert told_without(reasons, hidden={"face"}) == wanted


def test_what_people_wrote_is_not_cut():
    assert told_without(f"{VOICE} Her eyes are wide, as if she saw a ghost.", hidden={"voice"}) is None
