"""Which option a free answer chooses."""

import pytest

from microemo.data.readers.emotion_llama import MERR_EMOTIONS
from microemo.evaluation.metrics.closed_answers import chosen_option

YES_NO = ("Yes", "No")


@pytest.mark.parametrize(
    ("text", "options", "choice"),
    [
        ("sad", MERR_EMOTIONS, "sad"),
        (" Sad.\n", MERR_EMOTIONS, "sad"),
        ("**Angry**, since the brows are low and he is not happy.", MERR_EMOTIONS, "angry"),
        ("The lips rise though he was sad. So the emotional state is: happy.", MERR_EMOTIONS, "happy"),
        ("Therefore, it is inferred that his emotional state is: worried", MERR_EMOTIONS, "worried"),
        ("She is not happy, she is worried about it.", MERR_EMOTIONS, "worried"),
        ("He isn't really angry.", MERR_EMOTIONS, None),
        ("Either sad or angry", MERR_EMOTIONS, None),
        ("The face shows happiness.", MERR_EMOTIONS, "happy"),
        ("The face shows no happiness.", MERR_EMOTIONS, None),
        ("bored", MERR_EMOTIONS, None),
        ("", MERR_EMOTIONS, None),
        ("Unhappy people sadden me", ("happy",), None),
        ("Yes, there is no doubt.", YES_NO, "Yes"),
        ("no", YES_NO, "No"),
        ("Answer: No.", YES_NO, "No"),
        ("Yes and no", YES_NO, None),
        ("not sarcastic", ("sarcastic", "not sarcastic"), "not sarcastic"),
    ],
)
def test_choices(text, options, choice):
    assert chosen_option(text, options=options) == choice


def test_without_options_nothing_can_be_chosen():
    with pytest.raises(ValueError, match="options must name"):
        chosen_option("sad", options=())
