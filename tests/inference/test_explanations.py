import pytest

from microemo.inference.explanations import explanation_evidence, shift_times


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("at 1.8 s", "at 61.8 s"),
        ("from 1.8-2.4 s on", "from 61.8-62.4 s on"),
        ("at 2 s and 3.5 s.", "at 62.0 s and 63.5 s."),
        ("AU12, 3 sighs, version 1.2.3 s", "AU12, 3 sighs, version 1.2.3 s"),
    ],
)
def test_times_move_to_the_videos_clock(text, shifted):
    assert shift_times(text, seconds=60.0) == shifted
    assert shift_times(text, seconds=0.0) == text


def test_sentences_with_times_are_evidence():
    description = "The brows rise at 1.8 s. Her voice is low! From 2.0-2.5 s she looks away."
    assert [(evidence.seconds, evidence.text) for evidence in explanation_evidence(description)] == [
        (1.8, "The brows rise at 1.8 s."),
        (2.0, "From 2.0-2.5 s she looks away."),
    ]
    assert explanation_evidence("") == ()
