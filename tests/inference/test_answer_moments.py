"""Micro-expressions that were found are told, at their times."""

import pytest
import torch

from microemo.inference.answer_moments import Moment, MomentsTold
from tests.answer_following import following as what_follows
from tests.tiny_processor import tiny_tokenizer

REASON = "Emotions: calm.\nReason:"
FIRST = f"{REASON} The face stays at rest."


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()  # a token for each byte


def following(tokenizer, answer, *, moments=(1.84,)):
    row = [moment if isinstance(moment, Moment) else Moment(moment) for moment in moments]
    return what_follows(MomentsTold(tokenizer, moments=[row]), tokenizer, answer)


def test_behind_the_first_sentence_the_moment_is_told(tokenizer):
    assert following(tokenizer, FIRST) == " At 1.8 s"
    assert following(tokenizer, f"{FIRST} A") == "t 1.8 s"


def test_what_it_is_of_is_told_where_that_is_known(tokenizer):
    of_fear = (Moment(1.84, "fear"),)
    sentence = " A flash of fear crosses the face at 1.8 s"
    assert following(tokenizer, FIRST, moments=of_fear) == sentence
    assert following(tokenizer, f"{FIRST} A flash of", moments=of_fear) == sentence[11:]
    assert following(tokenizer, f"{FIRST}{sentence}", moments=of_fear) == ""


@pytest.mark.parametrize("answer", ["Emotions: calm.", REASON, f"{REASON} The", f"{REASON} The face until 2."])
def test_elsewhere_everything_may_follow(tokenizer, answer):
    assert following(tokenizer, answer) == ""


def test_a_moment_is_told_once(tokenizer):
    assert following(tokenizer, f"{FIRST} At 1.8 s the brows lift.") == ""
    assert following(tokenizer, f"{REASON} A flash of fear crosses the face at 1.9 s: the brows lift.") == ""


def test_several_are_told_in_order(tokenizer):
    moments = (0.5, 1.84)
    assert following(tokenizer, FIRST, moments=moments) == " At 0.5 s"
    assert following(tokenizer, f"{FIRST} At 0.5 s the brows lift.", moments=moments) == " At 1.8 s"
    assert following(tokenizer, f"{FIRST} At 0.5 s the brows lift. At 1.8 s they drop.", moments=moments) == ""


def test_without_any_nothing_is_told(tokenizer):
    assert following(tokenizer, FIRST, moments=()) == ""


def test_a_quotation_is_not_broken_into(tokenizer):
    assert following(tokenizer, f'{REASON} The words "I see.') == ""
    assert following(tokenizer, f'{REASON} The words "I see." are factual.') == " At 1.8 s"


def test_an_answer_about_several_utterances_tells_of_the_one_it_has_come_to(tokenizer):
    moments = (1.84, 5.0)
    first = f"{REASON} From 0.4 to 3.2 s: The face stays at rest."
    assert following(tokenizer, first, moments=moments) == " At 1.8 s"
    told = f"{first} At 1.8 s the brows lift."
    assert following(tokenizer, told, moments=moments) == ""
    assert following(tokenizer, f"{told} From 4.0 to 6.0 s:", moments=moments) == ""
    assert following(tokenizer, f"{told} From 4.0 to 6.0 s: The voice is even.", moments=moments) == " At 5.0 s"


def test_every_row_has_its_own(tokenizer):
    rule = MomentsTold(tokenizer, moments=[[Moment(1.0)], [], [Moment(2.0)]])
    rule(torch.zeros(3, 0, dtype=torch.long), torch.zeros(3, len(tokenizer)))
    tokens = torch.tensor([tokenizer(f"{FIRST} At ")["input_ids"]] * 3)
    allowed = [torch.isfinite(row).nonzero().flatten() for row in rule(tokens, torch.zeros(3, len(tokenizer)))]
    assert [tokenizer.decode(row.tolist()) if len(row) == 1 else None for row in allowed] == ["1", None, "2"]
