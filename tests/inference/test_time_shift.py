import pytest

from microemo.inference.explanation.time_shift import shift_times


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("at 1.8 s", "at 61.8 s"),
        ("from 1.8-2.4 s on", "from 61.8-62.4 s on"),
        ("at 2 s and 3.5 s.", "at 62.0 s and 63.5 s."),
        ("AU12, 3 sighs, version 1.2.3 s", "AU12, 3 sighs, version 1.2.3 s"),
    ],
)
def test_times_are_shifted_to_the_videos_clock(text, shifted):
    assert shift_times(text, seconds=60.0) == shifted
    assert shift_times(text, seconds=0.0) == text


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("From 0.4 to 2.9 s: The voice is even.", "From 60.4 to 62.9 s: The voice is even."),
        ("The face shows joy between 1.2 and 2.5 s.", "The face shows joy between 61.2 and 62.5 s."),
        ("At 1.8 s the brows rise for only 0.20 s.", "At 61.8 s the brows rise for only 0.20 s."),
        ("A flash crosses the face at 1.8 s (0.20 s).", "A flash crosses the face at 61.8 s (0.20 s)."),
        ("For 0.20 s, at 1.8 s, the brows rise.", "For 0.20 s, at 61.8 s, the brows rise."),
        ('The words "in 5 s or 10 s" are factual.', 'The words "in 5 s or 10 s" are factual.'),
    ],
)
def test_durations_and_quotes_are_not_shifted(text, shifted):
    assert shift_times(text, seconds=60.0) == shifted
