import numpy as np
import pytest

from microemo.evaluation.explanation_checks import describes_face
from microemo.synthesis import explanation
from microemo.synthesis.action_units import EMOTIONS
from microemo.synthesis.truth import FaceEvent


@pytest.mark.parametrize("kind", ["micro", "macro"])
def test_every_sentence_about_an_event_describes_a_face(kind):
    event = FaceEvent(kind, "fear", ("AU1", "AU20"), 1.234, 1.5, 1.72, 0.5)
    for seed in range(40):
        text = explanation.face_reason(event, against=seed % 2 == 0, rng=np.random.default_rng(seed))
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
            assert not describes_face(text), text


def test_a_face_at_rest_is_a_description_and_no_face_is_none():
    assert all(describes_face(text) for text in explanation.STILL_FACE_FORMS)
    assert not describes_face("There is no face to see; the voice is even.")
    assert not describes_face("The speaker is on the surface calm.")
