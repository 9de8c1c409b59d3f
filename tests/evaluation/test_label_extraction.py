import pytest
from hypothesis import given
from hypothesis import strategies as st

from microemo.data.emotion_wheel import EmotionWheels, wheel_from_rows
from microemo.evaluation.metrics.label_extraction import extract_labels, find_labels, labels_by_model


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("She looks happy and a little nervous.", ["happy", "nervous"]),
        ("HAPPY! Happily ever after.", ["happy"]),
        ("", []),
        ("The man sits at a table.", []),
        ("He looks like he is sad.", ["sad"]),  # "like" is no emotion here
        # negation before the word
        ("He is not happy.", []),
        ("There is no sign of anger.", []),
        ("She isn't afraid.", []),
        ("She isn\u2019t afraid.", []),
        ("He is never angry, only tired.", ["tired"]),
        ("Neither angry nor sad.", []),
        ("He speaks without fear or shame.", []),
        ("A lack of joy.", []),
        ("He is far from happy.", []),
        ("She is sad rather than angry.", ["sad"]),
        ("Free of worry, she smiles.", ["smiling"]),
        ("He is hardly surprised.", []),
        ("I don't think he is angry.", []),
        ("He is unable to feel joy.", []),
        ("Nothing suggests fear.", []),
        # where a negation ends
        ("She is not happy, she is sad.", ["sad"]),
        ("Not angry but sad.", ["sad"]),
        ("He did not move. He was afraid.", ["afraid"]),
        ("He did not smile and she was angry.", ["angry"]),
        ("No anger, fear or disgust; calm.", ["calm"]),
        ("No longer sad but relieved.", ["relieved"]),
        # negations without a scope
        ("Not only happy but also proud.", ["happy", "proud"]),
        ("She can't help laughing.", ["laughing"]),
        ("She cannot hide her excitement.", ["excitement"]),
        ("He is not without fear.", ["fear"]),
        ("There is no doubt that he is angry.", ["angry"]),
        ("She has never been so happy.", ["happy"]),
        # negation after the word
        ("Anger is absent, and joy is not visible.", []),
        ("Fear wasn't seen.", []),
        ("Her fear is visible.", ["fear"]),
    ],
)
def test_free_text_gives_the_affirmed_labels(text, labels):
    assert extract_labels(text) == labels


def test_the_longest_phrase_wins():
    assert extract_labels("She is at a loss for words.") == ["at a loss for words"]
    assert extract_labels("He is ill at ease.") == ["ill at ease"]
    assert extract_labels("He is at ease.") == ["at ease"]


def test_negated_words_are_returned():
    found = find_labels("not happy but sad")
    assert [(item.label, item.negated) for item in found] == [("happy", True), ("sad", False)]
    assert (found[0].start, found[0].end) == (1, 2)


def test_the_word_list_of_other_wheels_can_be_used():
    wheels = EmotionWheels(
        name="one word",
        bases={"schadenfreude": ("schadenfreude",)},
        wheel_words={},
        wheels=(wheel_from_rows([("a", "b", "schadenfreude")]),),
    )
    assert extract_labels("Happy? Schadenfreude.", wheels=wheels) == ["schadenfreude"]


@given(st.text(max_size=60))
def test_any_text_is_read(text):
    assert len(extract_labels(text)) == len(set(extract_labels(text)))


@given(st.lists(st.sampled_from(["happy", "sad", "angry"]), min_size=1, max_size=4))
def test_each_label_comes_once_in_order_of_appearance(words):
    assert extract_labels(". ".join(words)) == list(dict.fromkeys(words))


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ("['Happy', 'nervous']", ["happy", "nervous"]),
        ("The list is ['calm'].", ["calm"]),
        ("[]", []),
        ("happy, sad", ["happy", "sad"]),
        ("", []),
    ],
)
def test_a_model_can_name_the_labels(answer, labels):
    prompts = []
    assert labels_by_model("He grins.", complete=lambda prompt: prompts.append(prompt) or answer) == labels
    assert "He grins." in prompts[0]
