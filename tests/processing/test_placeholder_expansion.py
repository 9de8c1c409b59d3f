"""Placeholders become the tokens of one or of all segments."""

import pytest

from microemo.processing.placeholder_expansion import (
    check_utterance_counts,
    count_token,
    count_windows,
    spread_placeholders,
)


@pytest.mark.parametrize(("frames", "stride", "windows"), [(0, 2, 1), (1, 2, 1), (2, 2, 1), (3, 2, 2), (32, 32, 1)])
def test_number_of_windows(frames, stride, windows):
    assert count_windows(frames, stride=stride) == windows


def test_tokens_in_user_text_are_not_counted():
    assert count_token("V \U000f0000V\U000f0001 V", "V") == 2


@pytest.mark.parametrize(
    ("texts", "segments", "replacements"),
    [
        (["a V b V c V"], [3], ["VV", "VV", "VV"]),
        (["a V b"], [3], ["VVVVVV"]),
        (["no place"], [3], []),
        (["V", "none", "V V"], [1, 5, 2], ["VV", "VV", "VV"]),
    ],
)
def test_each_segment_gets_its_tokens(texts, segments, replacements):
    assert spread_placeholders(texts, token="V", tokens_per_segment=2, segments=segments) == replacements


def test_a_wrong_number_of_placeholders_is_refused():
    with pytest.raises(ValueError, match="a prompt has 2 V for 3 segments; allowed are 1 and 3"):
        spread_placeholders(["V V"], token="V", tokens_per_segment=2, segments=[3])


def test_utterance_times_must_match_the_prompts():
    check_utterance_counts(["E E", "-"], [[(0, 1), (1, 2)], []], token="E")
    with pytest.raises(ValueError, match=r"\[2\] E, utterance_times has the times of \[1\]"):
        check_utterance_counts(["E E"], [[(0, 1)]], token="E")
    with pytest.raises(ValueError, match=r"\[1\] E, utterance_times has the times of \[0\]"):
        check_utterance_counts(["E"], None, token="E")
