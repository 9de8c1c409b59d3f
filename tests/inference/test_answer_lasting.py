"""Lasting expressions that were found are told first, by their noun and times."""

import pytest

from microemo.inference.answer_lasting import Lasting, LastingTold
from tests.answer_following import following as what_follows
from tests.tiny_processor import tiny_tokenizer

REASON = "Emotions: calm.\nReason:"
JOY = Lasting("joy", 0.52, 3.31, 0.4, 3.9)
FEAR = Lasting("fear", 4.0, 9.0, 4.6, 6.3)  # goes on outside of its utterance
JOY_TOLD = " The face shows joy between 0.5 and 3.3 s:"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()  # a token for each byte


def following(tokenizer, answer, *, lasting=(JOY,), of_clip=False):
    rule = LastingTold(tokenizer, lasting=[lasting], of_clip=[of_clip])
    return what_follows(rule, tokenizer, answer)


def test_a_reason_begins_with_what_lasts(tokenizer):
    assert following(tokenizer, REASON) == JOY_TOLD
    assert following(tokenizer, f"{REASON} The fa") == JOY_TOLD.removeprefix(" The fa")


@pytest.mark.parametrize("answer", ["Emotions: calm.", f"{REASON}{JOY_TOLD}", f"{REASON}{JOY_TOLD} the lids tighten."])
def test_elsewhere_everything_may_follow(tokenizer, answer):
    assert following(tokenizer, answer) == ""


def test_without_one_nothing_is_told(tokenizer):
    assert following(tokenizer, REASON, lasting=()) == ""


def test_of_one_that_goes_on_outside_the_part_within_the_utterance_is_told(tokenizer):
    assert following(tokenizer, REASON, lasting=(FEAR,)) == " The face shows fear between 4.6 and 6.3 s:"


def test_of_one_that_is_held_no_time_is_told(tokenizer):
    held = JOY._replace(is_held=True)
    assert following(tokenizer, REASON, lasting=(held,)) == " The face shows joy throughout:"


def test_that_none_lasts_is_told(tokenizer):
    rest = Lasting(None, 0.4, 3.9, 0.4, 3.9)
    assert following(tokenizer, REASON, lasting=(rest,)) == " The face stays at rest."
    assert following(tokenizer, f"{REASON} The face stays at rest.", lasting=(rest,)) == ""
    clip = f"{REASON} From 0.4 to 3.9 s:"
    assert following(tokenizer, clip, lasting=(rest, FEAR), of_clip=True) == " The face stays at rest."


def test_an_answer_about_the_clip_names_the_utterance_first(tokenizer):
    both = (JOY, FEAR)
    assert following(tokenizer, REASON, lasting=both, of_clip=True) == ""
    first = f"{REASON} From 0.4 to 3.9 s:"
    assert following(tokenizer, first, lasting=both, of_clip=True) == JOY_TOLD
    second = f"{first}{JOY_TOLD} the cheeks lift. From 4.6 to 6.3 s:"
    assert following(tokenizer, second, lasting=both, of_clip=True) == " The face shows fear between 4.6 and 6.3 s:"
    assert following(tokenizer, f"{first}{JOY_TOLD} the cheeks lift. From 7.0 to 8.0 s:", of_clip=True) == ""
