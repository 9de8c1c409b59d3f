"""Questions and answers of examples."""

import pytest

from microemo.data.answers import (
    DESCRIPTION_QUESTION,
    LABELS_QUESTION,
    answered_questions,
    spread_questions,
    turn_of,
)
from microemo.data.example import (
    NO_QUESTION,
    EmotionTargets,
    Example,
    LabelledUtterance,
    Turn,
    writable_labels,
)
from microemo.processing.clip import Clip, Utterance
from microemo.processing.emotion_parsing import parse_emotions

FULL = EmotionTargets(open_labels=("sad",), description="The voice breaks.")
CLIP = Clip("a", 0.0, 4.0, (Utterance(0.0, 1.0, "a"), Utterance(2.0, 3.0, "b", "Ben")))


def example(targets=FULL, *each, **changes):
    utterances = tuple(
        LabelledUtterance(str(number), number, number + 1, targets=entry) for number, entry in enumerate(each)
    )
    return Example("x", video="x.mp4", targets=targets, utterances=utterances, **changes)


def test_answer_can_be_parsed():
    turn = turn_of(example(), clip=CLIP)
    parsed = parse_emotions(turn.answer)
    assert parsed.is_parsed and parsed.labels == ("sad",) and parsed.description == "The voice breaks."
    assert "whole clip" in turn.question


def test_incomplete_answers_have_their_question():
    assert turn_of(example(EmotionTargets(open_labels=("sad",))), clip=CLIP) == Turn(LABELS_QUESTION, "Emotions: sad.")
    described = turn_of(example(EmotionTargets(description="She cries.")), clip=CLIP)
    assert described == Turn(DESCRIPTION_QUESTION, "She cries.")


def test_an_utterance_is_asked_about_by_its_number():
    turn = turn_of(example(FULL, FULL, FULL, question_index=2), clip=CLIP)
    assert "does Ben show in [2] (2.0-3.0 s)" in turn.question


def test_no_answer_gives_no_turn():
    assert turn_of(example(EmotionTargets(closed_label="sad")), clip=CLIP) is None
    assert turn_of(example(question_index=NO_QUESTION), clip=CLIP) is None
    assert turn_of(example(turn=Turn("q", "a")), clip=CLIP) == Turn("q", "a")


def test_questions_are_spread():
    nothing = EmotionTargets()
    both = example(FULL, nothing, FULL)
    assert answered_questions(both) == (0, 2)
    assert [each.question_index for each in spread_questions([both, example(nothing)])] == [0, 2, None]
    assert [each.question_index for each in spread_questions([both], choice="clip")] == [0]
    assert [each.question_index for each in spread_questions([both], choice="none")] == [NO_QUESTION]
    (one,) = spread_questions([both], choice="one")
    assert one.question_index in (0, 2) and [one] == list(spread_questions([both], choice="one"))
    own = example(turn=Turn("q", "a"))
    assert list(spread_questions([own])) == [own]
    assert next(spread_questions([own], choice="none")).turn is None
    with pytest.raises(ValueError, match="choice .'some'"):
        next(spread_questions([both], choice="some"))


def test_labels_are_written_as_the_parser_can_read_them():
    assert writable_labels(["Self-Satisfied (ironic)", "SAD", "sad", "42", "x" * 60]) == (
        "self-satisfied ironic",
        "sad",
    )
