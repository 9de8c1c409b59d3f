"""Answers are formatted and parsed; malformed answers are kept raw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.processing.emotion_parsing import MAX_LABEL_LENGTH, format_emotions, parse_emotions


def test_labels_and_reason_are_parsed():
    parsed = parse_emotions(
        "Emotions: Happy, relieved, happy.\nReason: The mouth corners rise at 1.8 s.\nThe voice too."
    )
    assert parsed.labels == ("happy", "relieved")
    assert parsed.description == "The mouth corners rise at 1.8 s.\nThe voice too."
    assert parsed.is_parsed


@pytest.mark.parametrize(
    "text", ["Emotions: sad.", "Emotions: sad", " Emotions:  sad. \n", "Emotions: sad.\nReason: "]
)
def test_the_reason_may_be_missing(text):
    parsed = parse_emotions(text)
    assert (parsed.labels, parsed.description, parsed.raw) == (("sad",), "", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "She is happy.",
        "Emotions:",
        "Emotions: .",
        "Emotions: happy,, sad.",
        "Emotions: 1, 2.",
        "Emotions: <featureHere><featureHere>",
        "Emotions: happy. Reason: on one line",
        f"Emotions: {'very ' * 20}sad.",
        "Well. Emotions: happy.",
        "Emotions: happy.\nThe mouth corners rise.",
    ],
)
def test_malformed_answers_keep_only_their_text(text):
    parsed = parse_emotions(text)
    assert (parsed.is_parsed, parsed.labels, parsed.description, parsed.raw) == (False, (), "", text)


@pytest.mark.parametrize("labels", [[], ["happy."], ["happy, sad"], ["  "], ["x" * 41]])
def test_unparsable_labels_are_refused(labels):
    with pytest.raises(ValueError, match="labels must be"):
        format_emotions(labels)


words = st.lists(
    st.sampled_from(["happy", "sad", "self-conscious", "at", "ease", "Überrascht", "开心", "o'kay"]),
    min_size=1,
    max_size=3,
)


labels_of_words = words.map(" ".join).filter(lambda label: len(label) <= MAX_LABEL_LENGTH)


@given(st.lists(labels_of_words, min_size=1, max_size=5), st.text(alphabet="ab .,:\n", max_size=40))
def test_formatted_answers_are_parsed_back(labels, description):
    parsed = parse_emotions(format_emotions(labels, description))
    assert parsed.is_parsed
    assert parsed.labels == tuple(dict.fromkeys(label.lower() for label in labels))
    assert parsed.description == description.strip()
