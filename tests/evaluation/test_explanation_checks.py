import numpy as np
import pytest

from microemo.evaluation.explanation_checks import NamedMoment, describes_face, is_near_event, named_moments
from microemo.synthesis import explanation
from microemo.synthesis.action_units import EMOTIONS
from microemo.synthesis.truth import FaceEvent

EVENT_TIMES = (1.234, 1.5, 1.72)  # onset, apex, offset


def event(kind, emotion="fear"):
    return FaceEvent(kind, emotion, ("AU1", "AU20"), *EVENT_TIMES, 0.5)


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("At 1.8 s the nose wrinkles for only 0.20 s.", [(1.8, "apex")]),
        ("For 0.20 s, at 1.8 s, the lids tighten: a trace of anger.", [(1.8, "apex")]),
        ("A flash of fear crosses the face at 2 s (0.12 s): the eyes widen.", [(2.0, "apex")]),
        ("From 1.2 s on the cheeks lift, an expression of joy that lasts until 2.9 s.", [(1.2, "onset")]),
        ("The face shows joy between 1.2 and 2.9 s: the cheeks lift.", [(1.2, "onset")]),
        ("From 0.4 to 2.9 s: the voice is even.", []),
        ('The words "at 1.8 s I left" are factual.', []),
        ("A smile at 1 s. From 2.5 s on it fades; it goes at 3.0 s.", [(1.0, "apex"), (2.5, "onset"), (3.0, "apex")]),
        ("", []),
    ],
)  # fmt: skip
def test_moments_named_in_a_text(text, moments):
    assert [(moment.seconds, moment.point) for moment in named_moments(text)] == moments


@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_every_sentence_about_an_event_names_it(kind):
    """Whatever form the writer of the training texts draws, the reader finds the event and nothing else."""
    for seed in range(40):
        text = explanation.face_reason(event(kind), against=seed % 2 == 0, rng=np.random.default_rng(seed))
        moments = named_moments(text)
        assert len(moments) == 1 and is_near_event(moments[0], events=[EVENT_TIMES[:2]]), text
        assert describes_face(text), text


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_sentences_about_the_voice_and_the_words_describe_no_face(emotion):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for text in (
            explanation.voice_reason(emotion, rng=rng),
            explanation.acted_voice_reason(emotion, rng=rng),
            explanation.words_reason("Look me in the face", emotion=emotion, rng=rng),
            explanation.unseen_reason(rng=rng),
        ):
            assert not describes_face(text) and not named_moments(text), text


def test_a_face_at_rest_is_a_description_and_no_face_is_none():
    assert all(describes_face(text) for text in explanation.STILL_FACE_FORMS)
    assert not describes_face("There is no face to see; the voice is even.")
    assert not describes_face("The speaker is on the surface calm.")


@pytest.mark.parametrize(
    ("point", "seconds", "near"),
    [("apex", 1.75, True), ("apex", 1.76, False), ("onset", 1.25, True), ("onset", 1.5, False), ("apex", 1.0, False)],
)
def test_a_moment_is_compared_with_the_point_that_it_names(point, seconds, near):
    assert is_near_event(NamedMoment(seconds, point), events=[(9.0, 9.5), (1.0, 1.5)]) is near


def test_without_events_nothing_is_near():
    assert not is_near_event(NamedMoment(1.0, "apex"), events=[])
