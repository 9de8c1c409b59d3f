"""Words are shortened as little as possible, with a warning."""

import pytest

from microemo.processing.clip import Clip, Utterance
from microemo.processing.prompt_text import fit_words

CLIP = Clip(
    "x", 0.0, 9.0, (Utterance(0, 1, "a b c d e"), Utterance(1, 2, "f g"), Utterance(2, 3, "")), warnings=("old",)
)


def length(clip: Clip) -> int:
    return sum(2 + len(utterance.text.split()) for utterance in clip.utterances)


def test_a_fitting_clip_is_unchanged():
    assert fit_words(CLIP, prompt_length=length, limit=13) is CLIP


@pytest.mark.parametrize(
    ("limit", "texts"),
    [
        (12, ["a b c ...", "f g", ""]),
        (11, ["a b ...", "f g", ""]),
        (10, ["a ...", "f ...", ""]),
        (8, ["...", "...", ""]),
    ],
)
def test_utterances_are_shortened_to_fit(limit, texts):
    fitted = fit_words(CLIP, prompt_length=length, limit=limit)
    assert [utterance.text for utterance in fitted.utterances] == texts
    assert [utterance.start_seconds for utterance in fitted.utterances] == [0, 1, 2]
    assert fitted.warnings[0] == "old"
    assert fitted.warnings[1].startswith(f"the prompt has 13 tokens and {limit} fit")


def test_too_many_utterances_are_refused():
    with pytest.raises(ValueError, match="3 utterances make a prompt of more than 7 tokens even without their words"):
        fit_words(CLIP, prompt_length=length, limit=7)
